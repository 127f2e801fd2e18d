#include "basic.h"
void basic_flush(void)
{
}
