/* A pool's window over one axis: its taps lie a dilation apart, and some may lie beside the picture. */
#include "parts/common.h"

/* The first tap that is not before the picture; `start` is where the window begins. */
INLINE int window_first(int start, int dilation)
{
    return start < 0 ? (dilation - 1 - start) / dilation : 0;
}

/* One more than the last tap that is not behind the picture, of so many taps. */
INLINE int window_end(int start, int dilation, int taps, int length)
{
    return start < length ? smaller(taps, (length - start + dilation - 1) / dilation) : 0;
}
