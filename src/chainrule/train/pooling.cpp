// Max pooling of pictures, 2 x 2 in steps of two, with their channels last: no list of places, and nothing is written twice.
//
// Of equal numbers the first wins, and one that is no number wins over all, as in torch. Channels are a multiple of 16.

#include "kernels.h"

typedef int32_t Whole __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef uint8_t Bytes __attribute__((vector_size(LANES), aligned(1), may_alias));

INLINE void store_same(float *p, Vector v) { store(p, v); }
INLINE void store_same(bfloat16 *p, Vector v) {  // what came from bfloat16
    *reinterpret_cast<Half *>(p) = __builtin_convertvector(reinterpret_cast<Bits>(v) >> 16, Half);
}

struct Shape {
    int64_t images, height, width, channels;
    int64_t down() const { return height / 2; }
    int64_t across() const { return width / 2; }
    int64_t from(int64_t row, int64_t column) const { return (row * width + column) * channels; }  // rows of all pictures
};

// work(row of x, row of y) for every row of y
template <class Work> static void each_row(const Shape &s, int threads, Work work) {
    int64_t rows = s.images * s.down();
    in_threads(threads, [&](int i) {
        for (int64_t row = rows * i / threads; row < rows * (i + 1) / threads; row++)
            work(row / s.down() * s.height + row % s.down() * 2, row);
    });
}

template <class T> static void pool(const T *x, T *y, uint8_t *winners, const Shape &s, int threads) {
    each_row(s, threads, [&](int64_t in, int64_t out) {
        for (int64_t j = 0; j < s.across(); j++)
            for (int64_t c = 0; c < s.channels; c += LANES) {
                Vector most = load(x + s.from(in, 2 * j) + c);
                Whole winner{};
                for (int place = 1; place < 4; place++) {
                    Vector other = load(x + s.from(in + place / 2, 2 * j + place % 2) + c);
                    Whole wins = (other > most) | (other != other);
                    most = wins ? other : most;
                    winner = wins ? Whole{} + place : winner;
                }
                int64_t to = (out * s.across() + j) * s.channels + c;
                store_same(y + to, most);
                *reinterpret_cast<Bytes *>(winners + to) = __builtin_convertvector(winner, Bytes);
            }
    });
}

template <class T> static void pool_back(const T *dy, const uint8_t *winners, T *dx, const Shape &s, int threads) {
    each_row(s, threads, [&](int64_t in, int64_t out) {
        for (int64_t j = 0; j < s.across(); j++)
            for (int64_t c = 0; c < s.channels; c += LANES) {
                int64_t from = (out * s.across() + j) * s.channels + c;
                Vector slope = load(dy + from);
                Whole winner = __builtin_convertvector(*reinterpret_cast<const Bytes *>(winners + from), Whole);
                for (int place = 0; place < 4; place++)
                    store_same(dx + s.from(in + place / 2, 2 * j + place % 2) + c, winner == place ? slope : Vector{});
            }
        if (s.width % 2)
            for (int64_t row = in; row < in + 2; row++) std::fill_n(dx + s.from(row, s.width - 1), s.channels, T{});
        if (s.height % 2 && in % s.height == s.height - 3) std::fill_n(dx + s.from(in + 2, 0), s.width * s.channels, T{});
    });
}

// shape: images, height, width, channels of x
extern "C" void max_pool(const void *x, void *y, uint8_t *winners, const int64_t *shape, int is_low, int64_t threads) {
    Shape s{shape[0], shape[1], shape[2], shape[3]};
    if (is_low) pool(static_cast<const bfloat16 *>(x), static_cast<bfloat16 *>(y), winners, s, bounded(threads));
    else pool(static_cast<const float *>(x), static_cast<float *>(y), winners, s, bounded(threads));
}

extern "C" void max_pool_gradient(const void *dy, const uint8_t *winners, void *dx, const int64_t *shape, int is_low, int64_t threads) {
    Shape s{shape[0], shape[1], shape[2], shape[3]};
    if (is_low) pool_back(static_cast<const bfloat16 *>(dy), winners, static_cast<bfloat16 *>(dx), s, bounded(threads));
    else pool_back(static_cast<const float *>(dy), winners, static_cast<float *>(dx), s, bounded(threads));
}
