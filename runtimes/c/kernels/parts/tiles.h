/* Rows of pixels in tiles, which are computed in registers: as few tiles as can be, none longer than
 * `most`, all of one length or one pixel shorter. A rest in a tile of its own would leave most of the
 * core idle. */
#include "parts/common.h"

/* The length of the longer tiles. */
INLINE int tile_length(int width, int most)
{
    const int count = (width + most - 1) / most;
    return (width + count - 1) / count;
}

/* How many tiles are of that length; the others are one pixel shorter. */
INLINE int tiles_of_length(int width, int length)
{
    const int count = (width + length - 1) / length;
    return width - count * (length - 1);
}
