/* ResNet-8 of MLPerf Tiny, layer by layer as TensorFlow Lite Micro would call CMSIS-NN for it.
 *
 * Shapes, padding and strides are those of models/resnet8. Weights and scales are made up: what is
 * counted is instructions and memory, and these do not depend on them. Layers write into three
 * buffers of 16 kB; the scratch memory is the most that CMSIS-NN asks for in any of them. */
#include "arm_nnfunctions.h"

#include "net.h"

enum { CLASSES = 10, MOST_CHANNELS = 64, LARGEST = 32 * 32 * 16, SCRATCH = 2304 };

#define TIMES_4(...) __VA_ARGS__, __VA_ARGS__, __VA_ARGS__, __VA_ARGS__
#define TIMES_16(...) TIMES_4(TIMES_4(__VA_ARGS__))
#define TIMES_64(...) TIMES_4(TIMES_16(__VA_ARGS__))
#define TIMES_256(...) TIMES_16(TIMES_16(__VA_ARGS__))
#define TEN 5, -31, 70, 12, -64, 9, -8, 33, -27, 2

/* Weights of all layers behind one another. */
static const int8_t weights[77360] = {
    TIMES_16(TIMES_256(TEN)), TIMES_4(TIMES_256(TEN)), TIMES_4(TIMES_256(TEN)),
    TIMES_4(TIMES_256(TEN)),  TIMES_256(TEN),          TIMES_256(TEN),
    TIMES_16(TEN),            TIMES_16(TEN),           TIMES_16(TEN),
    TIMES_4(TEN),             TIMES_4(TEN),
};
static const int32_t biases[MOST_CHANNELS] = {TIMES_4(TEN)};
static const int32_t multipliers[MOST_CHANNELS] = {TIMES_64(0x55555555)};
static const int32_t shifts[MOST_CHANNELS] = {TIMES_64(-8)};
static int8_t buffers[3][LARGEST];
static int8_t scratch[SCRATCH];
static const int8_t *next;

static const cmsis_nn_activation relu = {-128, 127};

/* A layer that is refused would take no time: end in a fault instead. */
static void check(arm_cmsis_nn_status status)
{
    if (status != ARM_CMSIS_NN_SUCCESS)
        __builtin_trap();
}

static void conv(const int8_t *in, int8_t *out, int size, int from, int to, int kernel, int stride)
{
    const cmsis_nn_context context = {scratch, SCRATCH};
    const int made = size / stride, pad = kernel / 2;
    const cmsis_nn_conv_params how = {128, -128, {stride, stride}, {pad, pad}, {1, 1}, relu};
    const cmsis_nn_per_channel_quant_params scales = {(int32_t *)multipliers, (int32_t *)shifts};
    const cmsis_nn_dims given = {1, size, size, from}, filter = {to, kernel, kernel, from};
    const cmsis_nn_dims bias = {1, 1, 1, to}, result = {1, made, made, to};
    check(arm_convolve_wrapper_s8(&context, &how, &scales, &given, in, &filter, next, &bias, biases,
                                  &result, out));
    next += to * kernel * kernel * from;
}

static void add(const int8_t *one, const int8_t *other, int8_t *out, int count)
{
    check(arm_elementwise_add_s8(one, other, 128, 0x40000000, 0, 128, 0x40000000, 0, 20, out, -128,
                                 0x40000000, -18, relu.min, relu.max, count));
}

/* Two convolutions and what goes past them; from buffer 0 to buffer 0. */
static void stack(int size, int from, int to, int stride)
{
    const int made = size / stride, past = from != to;
    conv(buffers[0], buffers[1], size, from, to, 3, stride);
    conv(buffers[1], buffers[2], made, to, to, 3, 1);
    if (past)
        conv(buffers[0], buffers[1], size, from, to, 1, stride);
    add(buffers[2], past ? buffers[1] : buffers[0], buffers[0], made * made * to);
}

static void classify(const int8_t *in, int8_t *out)
{
    static int32_t sums[MOST_CHANNELS];
    const cmsis_nn_context context = {sums, sizeof sums};
    const cmsis_nn_fc_params how = {128, 0, 0, {-128, 127}};
    const cmsis_nn_per_tensor_quant_params scale = {0x55555555, -8};
    const cmsis_nn_dims given = {1, 1, 1, 64}, filter = {64, 1, 1, CLASSES};
    const cmsis_nn_dims bias = {1, 1, 1, CLASSES}, result = {1, 1, 1, CLASSES};
    check(arm_vector_sum_s8(sums, 64, CLASSES, next, how.input_offset, 0, biases));
    check(arm_fully_connected_s8(&context, &how, &scale, &given, in, &filter, next, &bias, biases,
                                 &result, out));
}

static void mean(const int8_t *in, int8_t *out)
{
    const cmsis_nn_context context = {scratch, SCRATCH};
    const cmsis_nn_pool_params how = {{8, 8}, {0, 0}, {-128, 127}};
    const cmsis_nn_dims given = {1, 8, 8, 64}, filter = {1, 8, 8, 1}, result = {1, 1, 1, 64};
    check(arm_avgpool_s8(&context, &how, &given, in, &filter, &result, out));
}

void net_run(const uint8_t *input, float *outputs)
{
    next = weights;
    for (int i = 0; i < 32 * 32 * 3; i++)
        buffers[1][i] = (int8_t)(input[i] - 128);
    conv(buffers[1], buffers[0], 32, 3, 16, 3, 1);
    stack(32, 16, 16, 1);
    stack(32, 16, 32, 2);
    stack(16, 32, 64, 2);
    mean(buffers[0], buffers[1]);
    classify(buffers[1], buffers[2]);
    for (int i = 0; i < CLASSES; i++)
        outputs[i] = (float)buffers[2][i] * 0.1f;
}
