#include "basic.h"
void basic_cq(void)
{
}
