#include "basic.h"
void basic_queues(void)
{
}
