/* Cortex-M4, M7, M33: two products of 16 bits, added to a sum, by one SMLAD. Bytes 0 and 2, then 1 and
 * 3 of the same four become 16 bits wide by one instruction each; two pixels by two channels fill the
 * registers. */
#if defined(HELIUM) /* it adds into registers with even numbers: there are eight */
enum { INTS = 1, INT_CHANNELS = 4, INT_PIXELS = 2 };
#else
enum { INTS = 1, INT_CHANNELS = 2, INT_PIXELS = 2 };
#endif

typedef struct { uint32_t even, odd; } four;
typedef four weights_of_four;

/* Four neighbouring bytes, for ints_dot. */
INLINE four four_load(const uint8_t *from)
{
    uint32_t found;
    four wide;
    memcpy(&found, from, sizeof found);
    __asm__("uxtb16 %0, %1" : "=r"(wide.even) : "r"(found));
    __asm__("uxtb16 %0, %1, ror #8" : "=r"(wide.odd) : "r"(found));
    return wide;
}

INLINE weights_of_four weights_load(const int8_t *from)
{
    uint32_t found;
    weights_of_four wide;
    memcpy(&found, from, sizeof found);
    __asm__("sxtb16 %0, %1" : "=r"(wide.even) : "r"(found));
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(wide.odd) : "r"(found));
    return wide;
}

/* Add the products of four pixels with four weights. */
INLINE ints ints_dot(ints sum, four pixels, weights_of_four weights)
{
    __asm__("smlad %0, %1, %2, %0" : "+r"(sum) : "r"(pixels.even), "r"(weights.even));
    __asm__("smlad %0, %1, %2, %0" : "+r"(sum) : "r"(pixels.odd), "r"(weights.odd));
    return sum;
}
