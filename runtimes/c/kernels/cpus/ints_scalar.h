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

/* Layers that keep channels apart: sums of one channel, and bytes that are multiplied. */
typedef int32_t lanes;
typedef int shorts;

INLINE lanes lanes_load(const int32_t *from) { return *from; }
INLINE ints ints_of_lanes(lanes sum) { return sum; }
INLINE shorts shorts_of_bytes(const uint8_t *from) { return *from; }
INLINE shorts shorts_of_weights(const int8_t *from) { return *from; }
INLINE lanes lanes_add_product(lanes sum, shorts pixel, shorts weight) { return sum + pixel * weight; }

/* Bytes that are compared. */
enum { BYTES = 1 };
typedef uint8_t bytes;

INLINE bytes bytes_load(const uint8_t *from) { return *from; }
INLINE bytes bytes_max(bytes a, bytes b) { return a > b ? a : b; }
INLINE void bytes_store(uint8_t *to, bytes value) { *to = value; }
