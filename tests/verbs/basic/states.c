#include "basic.h"
void basic_states(void)
{
}
