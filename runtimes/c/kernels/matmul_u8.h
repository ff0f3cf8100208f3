/* Products of computed matrices, [rows, run] by [run, columns], one behind the other: unsigned bytes,
 * as ONNX Runtime's QLinearMatMul has them. */
#include "parts/scaling.h"

struct matmul_u8 {
    int count;                       /* of matrices */
    int rows, run, columns;
    int in_step, other_step;         /* from one matrix to the next: 0 where one meets all others */
    int in_zero, other_zero, zero;   /* zero points */
    float factor;                    /* the inputs' scales over the output's */
};

INLINE int32_t matmul_u8_sum(const uint8_t *in, const uint8_t *other, const struct matmul_u8 *s)
{
    int32_t sum = 0;
    for (int k = 0; k < s->run; k++)
        sum += (in[k] - s->in_zero) * (other[k * s->columns] - s->other_zero);
    return sum;
}

INLINE void matmul_u8(const uint8_t *in, const uint8_t *other, uint8_t *out, const struct matmul_u8 *s)
{
    const factor_parts factor = factor_load(&s->factor);
    for (int i = 0; i < s->count; i++)
        for (int y = 0; y < s->rows; y++)
            for (int c = 0; c < s->columns; c++) {
                const int32_t sum = matmul_u8_sum(in + i * s->in_step + y * s->run,
                                                  other + i * s->other_step + c, s);
                *out++ = (uint8_t)(scaled(sum, factor, -s->zero, 255 - s->zero) + s->zero);
            }
}
