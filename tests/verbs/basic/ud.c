#include "basic.h"
void basic_ud(void)
{
}
