/* Bytes added on cores without floats: in whole numbers with 18 bits behind the point, unless the sum
 * lies so near the middle of two that the roundings of floats decide: then, for one sum of a hundred,
 * with the compiler's floats. */
enum { ADD_BITS = 18, ADD_NEAR = 1024 };

/* Out of line: few sums need it, and the compiler's floats are long. */
ONCE int add_u8_in_floats(int in, int other, const struct add_u8 *s)
{
    return add_u8_rounded(in, other, s);
}

/* Factors lose less than 2^-18 each, which is 511 of that in a sum; sums of floats below 4096 lose 32
   each time: together less than ADD_NEAR. */
INLINE int add_u8_whole(int in, int other, const struct add_u8 *s)
{
    const float one = (float)(1 << ADD_BITS);
    const uint32_t middle = 1u << (ADD_BITS - 1), mask = (1u << ADD_BITS) - 1;
    if (s->in_factor < 4 && s->other_factor < 4 && s->constant > -2048 && s->constant < 2048) {
        const int32_t sum = in * (int32_t)(s->in_factor * one) + other * (int32_t)(s->other_factor * one)
                            + (int32_t)(s->constant * one);
        const uint32_t positive = (uint32_t)sum + (4096u << ADD_BITS) + middle;
        if (((positive + ADD_NEAR) & mask) >= 2 * ADD_NEAR)
            return (int)(positive >> ADD_BITS) - 4096;
    }
    return add_u8_in_floats(in, other, s);
}
