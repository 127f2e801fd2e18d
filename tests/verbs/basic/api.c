#include "basic.h"
void basic_api(void)
{
}
