/* Constants where kernels read what is computed. */
#include "parts/common.h"

struct constant_f32 {
    int size;
};

INLINE void constant_f32(float *out, const float *values, const struct constant_f32 *s)
{
    memcpy(out, values, (size_t)s->size * sizeof *out);
}
