/* The same without floats. A float32 factor is mantissa / 2^shift, the mantissa of 24 bits.
 *
 * Float arithmetic rounds three times, each time halves to even: the sum to 24 bits, the product to
 * 24 bits, and that to a whole number. Two of these matter only where the product lies so near the
 * middle of two whole numbers that its rounding can reach it; everything else is rounded once. */

/* mantissa / 2^shift. Zero, too, has a mantissa here: its shift takes every sum to zero. */
typedef struct {
    uint32_t mantissa;
    int shift;
} factor_parts;

/* More than any bounds of bytes. */
enum { BEYOND = 1024 };

/* Take a factor apart. It is positive: scales are. */
INLINE factor_parts factor_load(const float *from)
{
    uint32_t bits;
    memcpy(&bits, from, sizeof bits);
    factor_parts parts;
    parts.mantissa = (bits & 0x7fffffu) | 0x800000u;
    parts.shift = 150 - (int)(bits >> 23);
    return parts;
}

/* Put it together again, where a float is wanted. */
INLINE float factor_value(factor_parts factor)
{
    float value;
    const uint32_t bits = (uint32_t)(150 - factor.shift) << 23 | (factor.mantissa & 0x7fffffu);
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* value / 2^places, halves to even; places of 1 to 63. */
INLINE uint64_t halves_to_even(uint64_t value, int places)
{
    const uint64_t odd = value >> places & 1;
    return (value + (((uint64_t)1 << (places - 1)) - 1 + odd)) >> places;
}

/* The nearest number of 24 bits, as a float holds it. */
INLINE uint64_t as_float(uint64_t value)
{
    int places = 0;
    while (value >> places >= (uint64_t)1 << 24)
        places++;
    return places ? halves_to_even(value, places) << places : value;
}

/* All three roundings, which few sums need; shift is at least 1. */
ONCE int scaled_exactly(uint32_t size, uint32_t mantissa, int shift)
{
    const uint64_t product = as_float(as_float(size) * mantissa);
    if (shift > 63)
        return 0; /* the product is below 2^56 */
    const uint64_t whole = halves_to_even(product, shift);
    return whole < BEYOND ? (int)whole : BEYOND;
}

/* size * mantissa / 2^16, of two numbers below 2^24. */
INLINE uint32_t product_of_24(uint32_t size, uint32_t mantissa)
{
#if defined(__ARM_ARCH_6M__) || defined(__ARM_ARCH_8M_BASE__) /* these multiply to 32 bits only */
    const uint32_t size_high = size >> 16, size_low = size & 0xffffu;
    const uint32_t high = mantissa >> 16, low = mantissa & 0xffffu;
    return ((size_high * high) << 16) + size_high * low + size_low * high + ((size_low * low) >> 16);
#else
    return (uint32_t)(((uint64_t)size * mantissa) >> 16);
#endif
}

/* The code is there once: copies in every layer would fill the small memories of such cores. */
ONCE int scaled_size(uint32_t size, factor_parts factor)
{
    /* Large factors: the sum is shifted instead, so that 16 bits stay behind the point. */
    const int left = factor.shift >= 32 ? 0 : factor.shift > 8 ? 32 - factor.shift : 24;
    const int right = factor.shift < 32 ? 0 : factor.shift < 63 ? factor.shift - 32 : 31;
    if (size >= (uint32_t)1 << (24 - left))
        return left ? BEYOND : scaled_exactly(size, factor.mantissa, factor.shift);
    const uint32_t found = product_of_24(size << left, factor.mantissa) >> right;
    const uint32_t fraction = found & 0xffffu;
    /* A float below 512 has 15 bits behind the point or more: its rounding moves the 16th by one. */
    if (fraction - 0x7ffeu < 4u)
        return scaled_exactly(size, factor.mantissa, factor.shift);
    return (int)(found >> 16) + (fraction >> 15 ? 1 : 0);
}

INLINE int scaled(int32_t sum, factor_parts factor, int low, int high)
{
    const int size = scaled_size(sum < 0 ? 0u - (uint32_t)sum : (uint32_t)sum, factor);
    const int value = sum < 0 ? -size : size;
    const int most = value < high ? value : high;
    return most > low ? most : low;
}
