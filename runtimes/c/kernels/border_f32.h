/* Zeros around a picture. Rows lie one behind the other, so what is behind one is before the next. */
#include "parts/common.h"

struct border_f32 {
    int height, width;               /* of the picture; width in numbers */
    int row;                         /* from one row to the next, in numbers */
    int before, behind;              /* numbers before the first row and behind the last one */
};

INLINE void border_f32(float *out, const struct border_f32 *s)
{
    memset(out - s->before, 0, (size_t)s->before * sizeof *out);
    for (int y = 0; y + 1 < s->height; y++)
        memset(out + y * s->row + s->width, 0, (size_t)(s->row - s->width) * sizeof *out);
    memset(out + (s->height - 1) * s->row + s->width, 0, (size_t)s->behind * sizeof *out);
}
