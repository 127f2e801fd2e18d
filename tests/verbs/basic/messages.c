#include "basic.h"
void basic_messages(void)
{
}
