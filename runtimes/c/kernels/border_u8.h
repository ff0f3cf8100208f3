/* One number around a picture. Rows lie one behind the other, so what is behind one is before the next. */
#include "parts/common.h"

struct border_u8 {
    int height, width;               /* of the picture; width in bytes */
    int row;                         /* from one row to the next, in bytes */
    int before, behind;              /* bytes before the first row and behind the last one */
    int value;
};

INLINE void border_u8(uint8_t *out, const struct border_u8 *s)
{
    memset(out - s->before, s->value, (size_t)s->before);
    for (int y = 0; y + 1 < s->height; y++)
        memset(out + y * s->row + s->width, s->value, (size_t)(s->row - s->width));
    memset(out + (s->height - 1) * s->row + s->width, s->value, (size_t)s->behind);
}
