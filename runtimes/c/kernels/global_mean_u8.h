/* The mean of each channel of a picture: unsigned bytes, as ONNX Runtime's QLinearGlobalAveragePool:
 * an exact sum, multiplied once. */
#include "parts/dot_u8.h"

struct global_mean_u8 {
    int in_height, in_width, channels;
    int in_row, in_pixel;            /* steps to the next one, in bytes */
    int in_zero, zero;               /* zero points of the input and the output */
    float factor;                    /* the input's scale over the output's and the number of pixels */
};

INLINE void global_mean_u8(const uint8_t *in, uint8_t *out, const struct global_mean_u8 *s)
{
    int8_t ones[INTS];
    int32_t starts[INTS];
    float factors_of_all[INTS];
    for (int i = 0; i < INTS; i++) {
        ones[i] = 1;
        starts[i] = -s->in_zero * s->in_height * s->in_width;
        factors_of_all[i] = s->factor;
    }
    for (int c = 0; c < s->channels; c += INTS) {
        lanes sum = lanes_load(starts);
        for (int y = 0; y < s->in_height; y++)
            for (int x = 0; x < s->in_width; x++)
                sum = lanes_add_product(sum, shorts_of_bytes(in + y * s->in_row + x * s->in_pixel + c),
                                        shorts_of_weights(ones));
        ints_requantise_some(out + c, ints_of_lanes(sum), factors_load(factors_of_all),
                             (float)-s->zero, (float)(255 - s->zero), s->zero, s->channels - c);
    }
}
