/* Constants where kernels read what is computed. */
#include "parts/common.h"

struct constant_u8 {
    int size;
};

INLINE void constant_u8(uint8_t *out, const uint8_t *values, const struct constant_u8 *s)
{
    memcpy(out, values, (size_t)s->size * sizeof *out);
}
