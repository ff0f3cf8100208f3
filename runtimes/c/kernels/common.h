/* What every kernel needs: fixed-size integers, inlining, and guards for equal results everywhere. */
#include <stdint.h>
#include <string.h>

#if defined(__FAST_MATH__)
#error "Compile this file without -ffast-math: it would answer differently from what was checked."
#endif
#if defined(__FLT_EVAL_METHOD__) && __FLT_EVAL_METHOD__ != 0 && __FLT_EVAL_METHOD__ != 16
#error "Floats must be computed as floats: on 32-bit x86 add -msse2 -mfpmath=sse."
#endif

/* A product and a sum round twice, unless a kernel asks for one rounding by name. */
#if defined(__clang__)
#pragma clang fp contract(off)
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=off")
/* It keeps pixels in registers that sums need. */
#pragma GCC optimize("no-predictive-commoning")
#elif !defined(__cplusplus)
#pragma STDC FP_CONTRACT OFF
#endif

#if defined(__GNUC__) || defined(__clang__)
#define INLINE static inline __attribute__((always_inline, unused))
#else
#define INLINE static inline
#endif

/* Sums live in registers only where the loops over them are written out; the loops around these must
   not be, or the code outgrows its cache. */
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#define ROLL _Pragma("clang loop unroll(disable)")
#elif defined(__GNUC__)
#define UNROLL _Pragma("GCC unroll 16")
#define ROLL _Pragma("GCC unroll 1")
#else
#define UNROLL
#define ROLL
#endif

/* Weights lie in blocks of so many output channels. */
enum { BLOCK = 16 };

INLINE int smaller(int a, int b) { return a < b ? a : b; }

/* Round halves to even. Adding 1.5 * 2^23 leaves no bits behind the point. */
INLINE int round_even(float value) { return (int)((value + 12582912.0f) - 12582912.0f); }
