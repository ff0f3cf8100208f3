/* Sums of bytes one at a time. */
typedef int32_t ints;

INLINE ints ints_load(const int32_t *from) { return *from; }
INLINE ints ints_none(void) { return 0; }
INLINE ints ints_add(ints a, ints b) { return a + b; }
INLINE ints ints_max(ints a, ints b) { return a > b ? a : b; }

/* A factor for each lane of sums. */
typedef factor_parts factors;
INLINE factors factors_load(const float *from) { return factor_load(from); }

/* Multiply, clip, round, add the zero point; low and high are without it. */
INLINE void ints_requantise(uint8_t *to, ints sum, factors factor, float low, float high, int zero)
{
    *to = (uint8_t)(scaled(sum, factor, (int)low, (int)high) + zero);
}

/* Multiply and clip. Results are floats, so cores without them compute with them as they can. */
INLINE void ints_scale(float *to, ints sum, factors factor, float low, float high)
{
    const float value = (float)sum * factor_value(factor);
    const float least = value > low ? value : low;
    *to = least < high ? least : high;
}
