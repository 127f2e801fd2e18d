#include "basic.h"
void basic_procs(void)
{
}
