/* The first half of winograd_f32: of each 4 x 4 window of a picture, the 16 numbers that its 2 x 2
 * outputs are made of, B' d B. They lie as [rows of windows][16][windows in a row][channels]. */
#include "cpus/simd.h"

struct winograd_in_f32 {
    int height, width, channels;     /* rows and columns of windows; a multiple of 16 channels */
    int in_row, in_pixel;            /* steps to the next one, in numbers */
};

/* B' of a column of four numbers, or of a row. */
INLINE void winograd_in_four(floats out[4], floats a, floats b, floats c, floats d)
{
    out[0] = floats_sub(a, c);
    out[1] = floats_add(b, c);
    out[2] = floats_sub(c, b);
    out[3] = floats_sub(b, d);
}

INLINE void winograd_in_window(const float *in, float *out, const struct winograd_in_f32 *s)
{
    floats columns[4][4], row[4];
    UNROLL for (int x = 0; x < 4; x++) {
        const float *at = in + x * s->in_pixel;
        winograd_in_four(columns[x], floats_load(at), floats_load(at + s->in_row),
                         floats_load(at + 2 * s->in_row), floats_load(at + 3 * s->in_row));
    }
    UNROLL for (int y = 0; y < 4; y++) {
        winograd_in_four(row, columns[0][y], columns[1][y], columns[2][y], columns[3][y]);
        UNROLL for (int x = 0; x < 4; x++)
            floats_store(out + (4 * y + x) * s->width * s->channels, row[x]);
    }
}

INLINE void winograd_in_f32(const float *in, float *out, const struct winograd_in_f32 *s)
{
    ROLL for (int y = 0; y < s->height; y++, out += 15 * s->width * s->channels)
        ROLL for (int x = 0; x < s->width; x++, out += s->channels)
            ROLL for (int c = 0; c < s->channels; c += FLOATS)
                winograd_in_window(in + 2 * y * s->in_row + 2 * x * s->in_pixel + c, out + c, s);
}
