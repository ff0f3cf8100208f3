/* One plane for each channel, as ONNX has a picture, into a picture with channels last. */
#include "parts/common.h"

struct interleave_u8 {
    int height, width, channels;
    int out_row, out_pixel;          /* steps to the next one, in numbers */
};

INLINE void interleave_u8(const uint8_t *in, uint8_t *out, const struct interleave_u8 *s)
{
    /* Written in order: compilers turn three planes, read side by side, into whole vectors. */
    for (int y = 0; y < s->height; y++)
        for (int x = 0; x < s->width; x++)
            for (int c = 0; c < s->channels; c++)
                out[y * s->out_row + x * s->out_pixel + c] = in[(c * s->height + y) * s->width + x];
}
