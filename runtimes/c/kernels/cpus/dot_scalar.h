/* Sums of bytes in plain C. */
#if defined(__ARM_ARCH_6M__) || defined(__ARM_ARCH_8M_BASE__) /* eight registers for most things */
enum { INTS = 1, INT_CHANNELS = 1, INT_PIXELS = 4 };
#elif defined(__thumb__)
enum { INTS = 1, INT_CHANNELS = 2, INT_PIXELS = 2 };
#else
enum { INTS = 1, INT_CHANNELS = 4, INT_PIXELS = 2 };
#endif

/* Four neighbouring bytes, for ints_dot. */
typedef struct { uint8_t byte[4]; } four;

INLINE four four_load(const uint8_t *from)
{
    four found;
    memcpy(&found, from, 4);
    return found;
}

typedef struct { int8_t byte[4]; } weights_of_four;

INLINE weights_of_four weights_load(const int8_t *from)
{
    weights_of_four found;
    memcpy(&found, from, 4);
    return found;
}

/* Add the products of four pixels with four weights to each lane. */
INLINE ints ints_dot(ints sum, four pixels, weights_of_four weights)
{
    return sum + pixels.byte[0] * weights.byte[0] + pixels.byte[1] * weights.byte[1]
           + pixels.byte[2] * weights.byte[2] + pixels.byte[3] * weights.byte[3];
}
