/* Clip each number: bytes. */
#include "parts/common.h"

struct clip_u8 {
    int height, width, channels;
    int in_row, out_row;             /* steps to the next row, in numbers */
    int low, high;
};

INLINE void clip_u8(const uint8_t *in, uint8_t *out, const struct clip_u8 *s)
{
    const uint8_t low = (uint8_t)s->low, high = (uint8_t)s->high;
    for (int y = 0; y < s->height; y++)
        for (int i = 0; i < s->width * s->channels; i++) {
            const uint8_t number = in[y * s->in_row + i];
            const uint8_t most = number < high ? number : high;
            out[y * s->out_row + i] = most > low ? most : low;
        }
}
