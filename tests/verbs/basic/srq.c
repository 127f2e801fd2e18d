#include "basic.h"
void basic_srq(void)
{
}
