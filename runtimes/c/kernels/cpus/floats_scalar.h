/* Floats one at a time. */
enum {
    FLOATS = 1,         /* floats in a vector */
    FLOAT_CHANNELS = 4, /* channels of a block that are computed together */
    FLOAT_PIXELS = 2    /* pixels that are computed together */
};

typedef float floats;

INLINE floats floats_load(const float *from) { return *from; }
INLINE floats floats_all(float value) { return value; }
INLINE floats floats_add(floats a, floats b) { return a + b; }
INLINE floats floats_sub(floats a, floats b) { return a - b; }
INLINE floats floats_mul(floats a, floats b) { return a * b; }
INLINE floats floats_max(floats a, floats b) { return a > b ? a : b; }
INLINE floats floats_min(floats a, floats b) { return a < b ? a : b; }
INLINE void floats_store(float *to, floats value) { *to = value; }

/* a * b + c, in one rounding where the core can. */
INLINE floats floats_fma(floats a, floats b, floats c)
{
#if defined(__FP_FAST_FMAF) && defined(__GNUC__)
    return __builtin_fmaf(a, b, c);
#else
    return a * b + c;
#endif
}
