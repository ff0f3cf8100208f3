/* What every kernel needs: fixed-size integers, inlining, and guards for equal results everywhere. */
#include <float.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>

/* Reordered sums and reciprocals round differently; rounding by adding and taking away a large number
   vanishes altogether. */
#if defined(__FAST_MATH__) || defined(__ASSOCIATIVE_MATH__) || defined(__RECIPROCAL_MATH__) || defined(_M_FP_FAST)
#error "Compile this file without -ffast-math, -Ofast, -funsafe-math-optimizations or /fp:fast: it would answer differently from what was checked."
#endif
#if defined(FLT_EVAL_METHOD) && FLT_EVAL_METHOD != 0 && FLT_EVAL_METHOD != 16
#error "Floats must be computed as floats, not as something wider: on 32-bit x86 add -msse2 -mfpmath=sse."
#endif
#if INT_MAX < 2147483647
#error "This file counts with int, which has fewer than 32 bits here."
#endif

/* A product and a sum round twice, unless a kernel asks for one rounding by name. */
#if defined(__clang__)
#pragma clang fp contract(off)
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=off")
/* It keeps pixels in registers that sums need. */
#pragma GCC optimize("no-predictive-commoning")
#elif defined(_MSC_VER)
#pragma fp_contract(off)
#elif !defined(__cplusplus)
#pragma STDC FP_CONTRACT OFF
#endif

/* Cores that have no instructions for floats scale their sums with whole numbers, to the same bytes.
   Define EDGECNN_NO_FLOATS for one that is not known here. */
#if defined(EDGECNN_NO_FLOATS) || defined(__SOFTFP__) || (defined(__riscv) && !defined(__riscv_flen))
#define NO_FLOATS
#endif

/* INLINE functions become part of each layer, with its sizes as constants; ONCE ones are there once. */
#if defined(__GNUC__) || defined(__clang__)
#define INLINE static inline __attribute__((always_inline, unused))
#define ONCE static __attribute__((noinline, unused))
#elif defined(_MSC_VER)
#define INLINE static __forceinline
#define ONCE static __declspec(noinline)
#else
#define INLINE static inline
#define ONCE static
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

/* What a pointer points to is read anew from here on: of 16 vector registers, sums need nearly all. */
#if (defined(__GNUC__) || defined(__clang__)) && defined(__AVX2__) && !defined(__AVX512F__)
#define FORGET(pointer) __asm__ volatile("" : "+r"(pointer))
#else
#define FORGET(pointer) (void)(pointer)
#endif

/* Weights lie in blocks of so many output channels. */
enum { BLOCK = 16 };

INLINE int smaller(int a, int b) { return a < b ? a : b; }

/* Round halves to even. Adding 1.5 * 2^23 leaves no bits behind the point. */
INLINE int round_even(float value) { return (int)((value + 12582912.0f) - 12582912.0f); }

/* a * b, rounded before anything is added to it: clang's -ffp-contract=fast goes past its own pragma.
   The product is below FLT_MAX, and no compiler knows it. */
INLINE float product(float a, float b)
{
    const float found = a * b;
    return found < FLT_MAX ? found : FLT_MAX;
}
