/* Softmax along one axis: unsigned bytes, as ONNX Runtime's QLinearSoftmax.
 *
 * The table has a power of e for each byte, the largest at 255: so that the largest byte of all
 * finds it there, each byte is looked up as far behind it as the largest byte is before 255. */
#include "parts/common.h"

struct softmax_u8 {
    int height, width;               /* how often it is done */
    int length, step;                /* of the axis, and from one number along it to the next */
    int in_row, in_pixel;            /* steps to the next one, in bytes */
    int out_row, out_pixel;
    float steps;                     /* one over the output's scale, rounded down */
    int zero;                        /* the zero point of the output */
};

INLINE void softmax_u8_one(const uint8_t *in, uint8_t *out, const float *table,
                           const struct softmax_u8 *s)
{
    int largest = 0;
    float sum = 0;
    for (int i = 0; i < s->length; i++)
        largest = in[i * s->step] > largest ? in[i * s->step] : largest;
    table += 255 - largest;
    for (int i = 0; i < s->length; i++)
        sum += table[in[i * s->step]];
    for (int i = 0; i < s->length; i++)
        out[i * s->step] =
            (uint8_t)smaller(round_even(table[in[i * s->step]] * s->steps / sum) + s->zero, 255);
}

INLINE void softmax_u8(const uint8_t *in, uint8_t *out, const float *table, const struct softmax_u8 *s)
{
    for (int y = 0; y < s->height; y++)
        for (int x = 0; x < s->width; x++)
            softmax_u8_one(in + y * s->in_row + x * s->in_pixel,
                           out + y * s->out_row + x * s->out_pixel, table, s);
}
