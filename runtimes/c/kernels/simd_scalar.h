/* One number at a time: for any compiler, and for cores without vectors. */
#include "floats_scalar.h"
#include "ints_scalar.h"

#if defined(__ARM_FEATURE_DSP) && defined(__GNUC__) && !defined(EDGECNN_NO_SIMD)
#include "dot_dsp.h"
#else
#include "dot_scalar.h"
#endif
