/* A picture, channels last, into one plane for each channel, as ONNX has it. */
#include "parts/common.h"

struct planes_u8 {
    int height, width, channels;
    int in_row, in_pixel;            /* steps to the next one, in numbers */
};

INLINE void planes_u8(const uint8_t *in, uint8_t *out, const struct planes_u8 *s)
{
    /* Read in order: compilers turn whole vectors into three planes, written side by side. */
    for (int y = 0; y < s->height; y++)
        for (int x = 0; x < s->width; x++)
            for (int c = 0; c < s->channels; c++)
                out[(c * s->height + y) * s->width + x] = in[y * s->in_row + x * s->in_pixel + c];
}
