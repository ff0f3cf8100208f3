/* One kernel on its own: a convolution of bytes beside the same in the plainest C. kernel.h is
 * conv_u8.h with what it includes. Exits with 1 if a byte differs. */
#include <stdio.h>
#include "kernel.h"

enum { HEIGHT = 4, WIDTH = 9, CHANNELS = 21, ROWS = 3, COLUMNS = 2, DEPTH = 6, ZERO = 7 };
enum { RUN = COLUMNS * DEPTH, BLOCKS = (CHANNELS + BLOCK - 1) / BLOCK, IN_ROW = (WIDTH + 1) * DEPTH };

static uint8_t in[(HEIGHT + 2) * IN_ROW];
static int8_t weights[BLOCKS * BLOCK][ROWS][RUN];
static int8_t packed[BLOCKS][ROWS][RUN / 4][BLOCK][4];
static int32_t bias[BLOCKS * BLOCK];
static float factor[BLOCKS * BLOCK];
static uint8_t out[HEIGHT * WIDTH * CHANNELS];

static uint32_t state = 1;
static int chance(int below)
{
    state = state * 1664525u + 1013904223u;
    return (int)((state >> 8) % (uint32_t)below);
}

static void fill(void)
{
    for (size_t i = 0; i < sizeof in; i++)
        in[i] = (uint8_t)chance(256);
    for (int c = 0; c < CHANNELS; c++) {
        bias[c] = chance(4000) - 2000;
        factor[c] = (float)(1 + chance(1000)) * 2e-5f;
        for (int y = 0; y < ROWS; y++)
            for (int k = 0; k < RUN; k++) {
                weights[c][y][k] = (int8_t)(chance(256) - 128);
                packed[c / BLOCK][y][k / 4][c % BLOCK][k % 4] = weights[c][y][k];
            }
    }
}

static int wanted(int y, int x, int c)
{
    int32_t sum = bias[c];
    for (int i = 0; i < ROWS; i++)
        for (int k = 0; k < RUN; k++)
            sum += in[(y + i) * IN_ROW + x * DEPTH + k] * weights[c][i][k];
    const float value = (float)sum * factor[c];
    return round_even(value < -ZERO ? -ZERO : value > 255 - ZERO ? 255 - ZERO : value) + ZERO;
}

int main(void)
{
    struct conv_u8 shape = {0};
    shape.groups = shape.pool_rows = shape.pool_columns = 1;
    shape.height = HEIGHT;
    shape.width = WIDTH;
    shape.channels = CHANNELS;
    shape.rows = ROWS;
    shape.runs = 1;
    shape.run = RUN;
    shape.dilation_y = shape.dilation_x = shape.stride_y = shape.stride_x = 1;
    shape.in_row = IN_ROW;
    shape.in_pixel = DEPTH;
    shape.out_row = WIDTH * CHANNELS;
    shape.out_pixel = CHANNELS;
    shape.zero = ZERO;
    shape.low = -ZERO;
    shape.high = 255 - ZERO;
    fill();
    conv_u8(in, out, &packed[0][0][0][0][0], bias, factor, &shape);
    for (int i = 0; i < HEIGHT * WIDTH * CHANNELS; i++) {
        const int right = wanted(i / CHANNELS / WIDTH, i / CHANNELS % WIDTH, i % CHANNELS);
        if (out[i] != right) {
            printf("byte %d is %d, not %d\n", i, out[i], right);
            return 1;
        }
    }
    return 0;
}
