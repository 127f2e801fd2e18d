#include "basic.h"
void basic_caps(void)
{
}
