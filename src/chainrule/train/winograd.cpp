// Convolutions of pictures with stride 1 by minimal filtering (Winograd 1980; Lavin and Gray 2015).
//
// A patch of SIDE x SIDE inputs and a filter of R x R become SIDE * SIDE numbers each, by which 4 x 4 outputs take one product
// a number: 36 in place of 144 for 3 x 3 filters, 64 in place of 400 for 5 x 5 ones. Summed over channels these products are
// SIDE * SIDE products of matrices, one for each place of a patch. Gradients go the same way: that of the data is a
// convolution with the filters turned around, that of the filters the transpose of the forward pass.
//
// Pictures lie with their channels last, filters as (outputs, R, R, inputs); channels are multiples of 16. Sums are float32;
// numbers that go in and out and factors of products may be bfloat16, these where the processor multiplies them.
// Tiles, the 4 x 4 outputs, are counted through all pictures. Bits depend on the shapes and on the number of threads.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <type_traits>
#if __has_include(<dlfcn.h>)
#include <dlfcn.h>
#endif
#if defined(__AVX512BF16__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
constexpr int LANES = 16, COLUMNS = 4, TALL = 6;  // of a tile of a product: 24 sums stay in 32 registers
#elif defined(__AVX__)
constexpr int LANES = 8, COLUMNS = 2, TALL = 6;  // 12 sums in 16 registers
#else
constexpr int LANES = 4, COLUMNS = 4, TALL = 5;
#endif
constexpr int BLOCK = LANES * COLUMNS;
constexpr int M = 4;             // outputs of a tile, down and across
constexpr int MOST_THREADS = 256;
constexpr int64_t APART = 64;    // bytes between places, so that they do not all fall into the same part of the cache

typedef float Vector __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef uint32_t Bits __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef uint16_t Half __attribute__((vector_size(2 * LANES), aligned(2), may_alias));
typedef uint16_t bfloat16;
#define INLINE static inline __attribute__((always_inline))

INLINE Vector all(float x) { return Vector{} + x; }
INLINE Vector load(const float *p) { return *reinterpret_cast<const Vector *>(p); }
INLINE void store(float *p, Vector v) { *reinterpret_cast<Vector *>(p) = v; }
INLINE Bits widened(Half v) { return __builtin_convertvector(v, Bits); }
INLINE Vector load(const bfloat16 *p) { return reinterpret_cast<Vector>(widened(*reinterpret_cast<const Half *>(p)) << 16); }
INLINE Half halved(Vector v) {  // to the nearest, ties to even
#if defined(__AVX512BF16__)
    return reinterpret_cast<Half>(_mm512_cvtneps_pbh(reinterpret_cast<__m512>(v)));
#else
    Bits bits = reinterpret_cast<Bits>(v);
    Bits rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    return __builtin_convertvector(v == v ? rounded : (bits >> 16) | 0x40, Half);  // what is no number stays none
#endif
}
INLINE void store(bfloat16 *p, Vector v) { *reinterpret_cast<Half *>(p) = halved(v); }
INLINE void store_pair(bfloat16 *p, Half first, Half second) { *reinterpret_cast<Bits *>(p) = widened(first) | (widened(second) << 16); }

template <class T> constexpr int STEP = sizeof(T) == 2 ? 2 : 1;  // factors that lie side by side: bfloat16 is multiplied in pairs

// ---- transforms along one axis. Points 0, 1, -1, 2, -2, infinity; for SIDE 8 also 1/2 and -1/2

INLINE void to_places(Vector (&d)[6]) {
    Vector a = d[4] - 4 * d[2], b = d[3] - 4 * d[1], c = d[4] - d[2], e = 2 * (d[3] - d[1]);
    d[0] = 4 * d[0] - 5 * d[2] + d[4], d[5] = 4 * d[1] - 5 * d[3] + d[5];
    d[1] = a + b, d[2] = a - b, d[3] = c + e, d[4] = c - e;
}
INLINE void to_places(Vector (&d)[8]) {
    Vector a = d[2] - 4.25f * d[4] + d[6], b = d[1] - 4.25f * d[3] + d[5];
    Vector c = 0.25f * d[2] - 1.25f * d[4] + d[6], e = 0.5f * d[1] - 2.5f * d[3] + 2 * d[5];
    Vector f = 4 * d[2] - 5 * d[4] + d[6], g = 2 * d[1] - 2.5f * d[3] + 0.5f * d[5];
    d[0] = d[0] - d[6] + 5.25f * (d[4] - d[2]), d[7] = d[7] - d[1] + 5.25f * (d[3] - d[5]);
    d[1] = a + b, d[2] = a - b, d[3] = c + e, d[4] = c - e, d[5] = f + g, d[6] = f - g;
}

template <int SIDE> INLINE void to_outputs(Vector (&m)[SIDE]) {  // the first M hold them
    Vector s = m[1] + m[2], d = m[1] - m[2], t = m[3] + m[4], e = m[3] - m[4];
    m[0] = m[0] + s + t;
    Vector second = d + 2 * e, third = s + 4 * t, fourth = d + 8 * e + m[SIDE - 1];
    if constexpr (SIDE == 8) {
        Vector u = m[5] + m[6], f = m[5] - m[6];
        m[0] += u, second += 0.5f * f, third += 0.25f * u, fourth += 0.125f * f;
    }
    m[1] = second, m[2] = third, m[3] = fourth;
}

template <int SIDE> INLINE void from_outputs(Vector (&y)[SIDE]) {  // its transpose
    Vector a = y[0] + y[2], b = y[1] + y[3], c = y[0] + 4 * y[2], e = 2 * y[1] + 8 * y[3], last = y[3];
    if constexpr (SIDE == 8) {
        Vector f = y[0] + 0.25f * y[2], g = 0.5f * y[1] + 0.125f * y[3];
        y[5] = f + g, y[6] = f - g;
    }
    y[1] = a + b, y[2] = a - b, y[3] = c + e, y[4] = c - e, y[SIDE - 1] = last;
}

template <int R> constexpr int SIDE_OF = R + M - 1;
template <int R> constexpr int PLACES = SIDE_OF<R> * SIDE_OF<R>;
template <int R> struct Filter;
template <> struct Filter<3> {
    static constexpr float G[6][3] = {{1 / 4.f, 0, 0}, {-1 / 6.f, -1 / 6.f, -1 / 6.f}, {-1 / 6.f, 1 / 6.f, -1 / 6.f},
                                      {1 / 24.f, 2 / 24.f, 4 / 24.f}, {1 / 24.f, -2 / 24.f, 4 / 24.f}, {0, 0, 1}};
};
template <> struct Filter<5> {
    static constexpr float ONE = -2 / 9.f, TWO = 1 / 90.f, HALF = 2 / 45.f;
    static constexpr float G[8][5] = {{1, 0, 0, 0, 0}, {ONE, ONE, ONE, ONE, ONE}, {ONE, -ONE, ONE, -ONE, ONE},
                                      {TWO, 2 * TWO, 4 * TWO, 8 * TWO, 16 * TWO}, {TWO, -2 * TWO, 4 * TWO, -8 * TWO, 16 * TWO},
                                      {16 * HALF, 8 * HALF, 4 * HALF, 2 * HALF, HALF}, {16 * HALF, -8 * HALF, 4 * HALF, -2 * HALF, HALF},
                                      {0, 0, 0, 0, 1}};
};

template <int R> INLINE void filter_to_places(const Vector (&taps)[R][R], Vector (&found)[PLACES<R>]) {  // G w G^T
    constexpr int SIDE = SIDE_OF<R>;
    Vector half[SIDE][R];
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < R; j++) {
            half[i][j] = Vector{};
            for (int h = 0; h < R; h++)
                if (Filter<R>::G[i][h] != 0) half[i][j] += Filter<R>::G[i][h] * taps[h][j];
        }
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) {
            Vector sum{};
            for (int h = 0; h < R; h++)
                if (Filter<R>::G[j][h] != 0) sum += Filter<R>::G[j][h] * half[i][h];
            found[i * SIDE + j] = sum;
        }
}

// ---- the work

struct Shape {  // x (images, height, width, inputs), y (images, down, across, outputs), zeros around x
    int64_t images, height, width, inputs, outputs, padding, down, across;
    int64_t rows() const { return (down + M - 1) / M; }
    int64_t columns() const { return (across + M - 1) / M; }
    int64_t tiles() const { return images * rows() * columns(); }
};

struct Tile {
    int64_t image, row, column;  // of its first output
    Tile(const Shape &s, int64_t number)
        : image(number / (s.rows() * s.columns())), row(number / s.columns() % s.rows() * M), column(number % s.columns() * M) {}
};

// Hand on the places of the patch of a tile, of LANES channels from c on: emit(place, vector).
template <int R, class In, class Emit> INLINE void patch(const In *x, const Shape &s, int64_t number, int64_t c, Emit emit) {
    constexpr int SIDE = SIDE_OF<R>;
    Tile tile(s, number);
    int64_t top = tile.row - s.padding, left = tile.column - s.padding;
    int64_t low = std::max<int64_t>(0, -left), high = std::min<int64_t>(SIDE, s.width - left);
    Vector held[SIDE][SIDE];
    for (int i = 0; i < SIDE; i++) {
        Vector d[SIDE];
        if (top + i < 0 || top + i >= s.height) {
            for (int j = 0; j < SIDE; j++) held[i][j] = Vector{};
            continue;
        }
        const In *from = x + ((tile.image * s.height + top + i) * s.width + left) * s.inputs + c;
        if (low == 0 && high == SIDE)
            for (int j = 0; j < SIDE; j++) d[j] = load(from + j * s.inputs);
        else
            for (int j = 0; j < SIDE; j++) d[j] = j >= low && j < high ? load(from + j * s.inputs) : Vector{};
        to_places(d);
        for (int j = 0; j < SIDE; j++) held[i][j] = d[j];
    }
    for (int j = 0; j < SIDE; j++) {
        Vector d[SIDE];
        for (int i = 0; i < SIDE; i++) d[i] = held[i][j];
        to_places(d);
        for (int i = 0; i < SIDE; i++) emit(i * SIDE + j, d[i]);
    }
}

// Hand on what the gradient of a tile's outputs is at every place: the transpose of what makes outputs.
template <int R, class Grad, class Emit> INLINE void slopes(const Grad *dy, const Shape &s, int64_t number, int64_t k, Emit emit) {
    constexpr int SIDE = SIDE_OF<R>;
    Tile tile(s, number);
    Vector held[M][SIDE];
    for (int i = 0; i < M; i++) {
        Vector d[SIDE];
        const Grad *from = dy + ((tile.image * s.down + tile.row + i) * s.across + tile.column) * s.outputs + k;
        for (int j = 0; j < M; j++)
            d[j] = tile.row + i < s.down && tile.column + j < s.across ? load(from + j * s.outputs) : Vector{};
        from_outputs<SIDE>(d);
        for (int j = 0; j < SIDE; j++) held[i][j] = d[j];
    }
    for (int j = 0; j < SIDE; j++) {
        Vector d[SIDE];
        for (int i = 0; i < M; i++) d[i] = held[i][j];
        from_outputs<SIDE>(d);
        for (int i = 0; i < SIDE; i++) emit(i * SIDE + j, d[i]);
    }
}

// ---- products. c (rows, columns) = or += a b; factors of bfloat16 lie in pairs along the depth, which counts pairs then

template <int TALL_, int WIDE, bool ADD, class T>
INLINE void small_product(const T *a, int64_t a_row, int64_t a_step, const T *b, int64_t b_step, int64_t depth, float *c, int64_t c_row) {
    Vector sums[TALL_][WIDE];
    for (int i = 0; i < TALL_; i++)
        for (int j = 0; j < WIDE; j++) sums[i][j] = ADD ? load(c + i * c_row + j * LANES) : Vector{};
    for (int64_t k = 0; k < depth; k++, a += a_step, b += b_step) {
        if constexpr (std::is_same_v<T, float>) {
            Vector right[WIDE];
            for (int j = 0; j < WIDE; j++) right[j] = load(b + j * LANES);
            for (int i = 0; i < TALL_; i++) {
                Vector left = all(a[i * a_row]);
                for (int j = 0; j < WIDE; j++) sums[i][j] += left * right[j];
            }
        }
#if defined(__AVX512BF16__)
        else {
            __m512bh right[WIDE];
            for (int j = 0; j < WIDE; j++) right[j] = reinterpret_cast<__m512bh>(_mm512_loadu_si512(b + 2 * j * LANES));
            for (int i = 0; i < TALL_; i++) {
                int pair;
                std::memcpy(&pair, a + i * a_row, 4);
                __m512bh left = reinterpret_cast<__m512bh>(_mm512_set1_epi32(pair));
                for (int j = 0; j < WIDE; j++)
                    sums[i][j] = reinterpret_cast<Vector>(_mm512_dpbf16_ps(reinterpret_cast<__m512>(sums[i][j]), left, right[j]));
            }
        }
#endif
    }
    for (int i = 0; i < TALL_; i++)
        for (int j = 0; j < WIDE; j++) store(c + i * c_row + j * LANES, sums[i][j]);
}

template <int WIDE, bool ADD, class T>
static void strip(const T *a, int64_t a_row, int64_t a_step, int64_t rows, const T *b, int64_t b_step, int64_t depth, float *c, int64_t c_row) {
    for (; rows >= TALL; rows -= TALL, a += TALL * a_row, c += TALL * c_row)
        small_product<TALL, WIDE, ADD>(a, a_row, a_step, b, b_step, depth, c, c_row);
    switch (rows) {
        case 1: return small_product<1, WIDE, ADD>(a, a_row, a_step, b, b_step, depth, c, c_row);
        case 2: return small_product<2, WIDE, ADD>(a, a_row, a_step, b, b_step, depth, c, c_row);
        case 3: return small_product<3, WIDE, ADD>(a, a_row, a_step, b, b_step, depth, c, c_row);
        case 4: return small_product<4, WIDE, ADD>(a, a_row, a_step, b, b_step, depth, c, c_row);
        case 5: return small_product<5, WIDE, ADD>(a, a_row, a_step, b, b_step, depth, c, c_row);
    }
}

// of one block of columns, of which there are at most BLOCK
template <bool ADD, class T>
INLINE void product(int64_t columns, const T *a, int64_t a_row, int64_t a_step, int64_t rows, const T *b, int64_t b_step, int64_t depth, float *c, int64_t c_row) {
    switch (columns / LANES) {
        case 1: return strip<1, ADD>(a, a_row, a_step, rows, b, b_step, depth, c, c_row);
        case 2: return strip<2, ADD>(a, a_row, a_step, rows, b, b_step, depth, c, c_row);
        case 3: return strip<3, ADD>(a, a_row, a_step, rows, b, b_step, depth, c, c_row);
        default: return strip<4, ADD>(a, a_row, a_step, rows, b, b_step, depth, c, c_row);
    }
}

// ---- threads, those that torch has, and memory that stays between calls

#if __has_include(<dlfcn.h>)
typedef void (*Parallel)(void (*)(void *), void *, unsigned, unsigned);
typedef int (*Counted)();
static const auto parallel = reinterpret_cast<Parallel>(dlsym(RTLD_DEFAULT, "GOMP_parallel"));
static const auto own_number = reinterpret_cast<Counted>(dlsym(RTLD_DEFAULT, "omp_get_thread_num"));
static const auto team_size = reinterpret_cast<Counted>(dlsym(RTLD_DEFAULT, "omp_get_num_threads"));
#endif

template <class Work> static void in_threads(int threads, Work work) {  // work(i) for every i below `threads`
#if __has_include(<dlfcn.h>)
    if (threads > 1 && parallel && own_number && team_size) {
        struct Job {
            Work *work;
            int threads;
        } job{&work, threads};
        auto run = [](void *data) {
            auto job = static_cast<Job *>(data);
            for (int i = own_number(), step = team_size(); i < job->threads; i += step) (*job->work)(i);
        };
        parallel(run, &job, threads, 0);
        return;
    }
#endif
    for (int i = 0; i < threads; i++) work(i);
}

struct Room {
    char *at = nullptr;
    size_t size = 0;
    bool holds(size_t wanted) {
        if (wanted <= size) return true;
        std::free(at);
        size = 0;
        size_t whole = (wanted + 4095) / 4096 * 4096;
        at = static_cast<char *>(std::aligned_alloc(4096, whole));
        if (at) size = whole;
        return at;
    }
};
static Room shared, rooms[MOST_THREADS];
static bool make_room(int threads, size_t each, size_t together) {
    bool found = shared.holds(together);
    for (int i = 0; i < threads; i++) found = found && rooms[i].holds(each);
    return found;
}

// ---- filters: u (place, depth, BLOCK) for one block of columns. w (outputs, R, R, inputs)

INLINE int64_t place_of_filter(int64_t depth) { return depth * BLOCK + APART; }

// Columns are outputs from `first` on, and the depth is inputs.
template <int R, class T> static void forward_filters(const float *w, int64_t inputs, int64_t outputs, int64_t first, T *u) {
    int64_t wide = std::min<int64_t>(BLOCK, outputs - first);
    Vector turned[LANES][R][R];  // by input; its lanes are outputs
    for (int64_t k = 0; k < wide; k += LANES)
        for (int64_t c = 0; c < inputs; c += LANES) {
            for (int l = 0; l < LANES; l++)
                for (int tap = 0; tap < R * R; tap++) {
                    Vector along = load(w + ((first + k + l) * R * R + tap) * inputs + c);
                    for (int q = 0; q < LANES; q++) reinterpret_cast<float *>(&turned[q][tap / R][tap % R])[l] = along[q];
                }
            for (int q = 0; q < LANES; q += STEP<T>) {
                Vector found[STEP<T>][PLACES<R>];
                for (int z = 0; z < STEP<T>; z++) filter_to_places<R>(turned[q + z], found[z]);
                for (int p = 0; p < PLACES<R>; p++) {
                    T *to = u + p * place_of_filter(inputs) + (c + q) * wide + k * STEP<T>;
                    if constexpr (STEP<T> == 1) store(to, found[0][p]);
                    else store_pair(to, halved(found[0][p]), halved(found[1][p]));
                }
            }
        }
}

// Columns are inputs from `first` on, the depth is outputs, and the filters are turned around.
template <int R, class T> static void backward_filters(const float *w, int64_t inputs, int64_t outputs, int64_t first, T *u) {
    int64_t wide = std::min<int64_t>(BLOCK, inputs - first);
    for (int64_t k = 0; k < outputs; k += STEP<T>)
        for (int64_t c = 0; c < wide; c += LANES) {
            Vector found[STEP<T>][PLACES<R>];
            for (int z = 0; z < STEP<T>; z++) {
                Vector taps[R][R];
                for (int tap = 0; tap < R * R; tap++)
                    taps[R - 1 - tap / R][R - 1 - tap % R] = load(w + ((k + z) * R * R + tap) * inputs + first + c);
                filter_to_places<R>(taps, found[z]);
            }
            for (int p = 0; p < PLACES<R>; p++) {
                T *to = u + p * place_of_filter(outputs) + k * wide + c * STEP<T>;
                if constexpr (STEP<T> == 1) store(to, found[0][p]);
                else store_pair(to, halved(found[0][p]), halved(found[1][p]));
            }
        }
}

// ---- y = x * w

// v (place, tiles, inputs) of `count` tiles
template <int R, class T, class In> static void take_patches(const In *x, const Shape &s, int64_t start, int64_t count, T *v, int64_t v_place) {
    for (int64_t t = 0; t < count; t++)
        for (int64_t c = 0; c < s.inputs; c += LANES)
            patch<R>(x, s, start + t, c, [&](int p, Vector got) { store(v + p * v_place + t * s.inputs + c, got); });
}

// m (place, tiles, columns), outputs from `first` on
template <int R, class Out>
static void give_outputs(const float *m, int64_t m_place, int64_t columns, const float *bias, Out *y, const Shape &s, int64_t start, int64_t count, int64_t first) {
    constexpr int SIDE = SIDE_OF<R>;
    for (int64_t t = 0; t < count; t++) {
        Tile tile(s, start + t);
        int64_t down = std::min<int64_t>(M, s.down - tile.row), across = std::min<int64_t>(M, s.across - tile.column);
        for (int64_t k = 0; k < columns; k += LANES) {
            Vector held[M][SIDE], shift = bias ? load(bias + first + k) : Vector{};
            for (int j = 0; j < SIDE; j++) {
                Vector d[SIDE];
                for (int i = 0; i < SIDE; i++) d[i] = load(m + (i * SIDE + j) * m_place + t * columns + k);
                to_outputs<SIDE>(d);
                for (int i = 0; i < M; i++) held[i][j] = d[i];
            }
            for (int i = 0; i < down; i++) {
                Vector d[SIDE];
                for (int j = 0; j < SIDE; j++) d[j] = held[i][j];
                to_outputs<SIDE>(d);
                Out *to = y + ((tile.image * s.down + tile.row + i) * s.across + tile.column) * s.outputs + first + k;
                for (int j = 0; j < across; j++) store(to + j * s.outputs, d[j] + shift);
            }
        }
    }
}

template <int R, class T> static void multiply(const T *v, int64_t v_place, int64_t inputs, int64_t count, const T *u, int64_t wide, float *m, int64_t m_place, int64_t columns) {
    for (int p = 0; p < PLACES<R>; p++)
        product<false>(wide, v + p * v_place, inputs, STEP<T>, count, u + p * place_of_filter(inputs), wide * STEP<T>, inputs / STEP<T>, m + p * m_place, columns);
}

constexpr int64_t FEW_TILES = 192;  // of which the patches are all held, and filters go by a block at a time

template <int R, class T, class In, class Out>
static bool convolve(const In *x, const float *w, const float *bias, Out *y, const Shape &s, bool is_backward, int threads) {
    auto filters = [&](int64_t block, T *u) {
        if (is_backward) backward_filters<R>(w, s.outputs, s.inputs, block * BLOCK, u);
        else forward_filters<R>(w, s.inputs, s.outputs, block * BLOCK, u);
    };
    int64_t tiles = s.tiles(), blocks = (s.outputs + BLOCK - 1) / BLOCK, of_filters = PLACES<R> * place_of_filter(s.inputs);
    auto width = [&](int64_t block) { return std::min<int64_t>(BLOCK, s.outputs - block * BLOCK); };
    bool is_few = tiles <= FEW_TILES;
    int64_t at_once = is_few ? tiles : s.inputs > 128 || R > 3 ? 12 : 24;
    int64_t columns = is_few ? BLOCK : s.outputs;
    int64_t v_place = at_once * s.inputs + APART / sizeof(T), m_place = at_once * columns + APART / sizeof(float);
    size_t each = PLACES<R> * (v_place * sizeof(T) + m_place * sizeof(float)) + is_few * of_filters * sizeof(T);
    if (!make_room(threads, each, is_few ? 0 : blocks * of_filters * sizeof(T))) return false;
    if (is_few) {
        in_threads(threads, [&](int i) {
            auto m = reinterpret_cast<float *>(rooms[i].at);
            auto v = reinterpret_cast<T *>(m + PLACES<R> * m_place), u = v + PLACES<R> * v_place;
            take_patches<R>(x, s, 0, tiles, v, v_place);
            for (int64_t block = blocks * i / threads; block < blocks * (i + 1) / threads; block++) {
                filters(block, u);
                multiply<R>(v, v_place, s.inputs, tiles, u, width(block), m, m_place, width(block));
                give_outputs<R>(m, m_place, width(block), bias, y, s, 0, tiles, block * BLOCK);
            }
        });
        return true;
    }
    auto u = reinterpret_cast<T *>(shared.at);
    in_threads(threads, [&](int i) {
        for (int64_t block = i; block < blocks; block += threads) filters(block, u + block * of_filters);
    });
    in_threads(threads, [&](int i) {
        auto m = reinterpret_cast<float *>(rooms[i].at);
        auto v = reinterpret_cast<T *>(m + PLACES<R> * m_place);
        int64_t last = tiles * (i + 1) / threads;
        for (int64_t start = tiles * i / threads; start < last; start += at_once) {
            int64_t count = std::min(at_once, last - start);
            take_patches<R>(x, s, start, count, v, v_place);
            for (int64_t block = 0; block < blocks; block++)
                multiply<R>(v, v_place, s.inputs, count, u + block * of_filters, width(block), m + block * BLOCK, m_place, s.outputs);
            give_outputs<R>(m, m_place, s.outputs, bias, y, s, start, count, 0);
        }
    });
    return true;
}

// ---- the gradient of the filters, dw (outputs, R, R, inputs)

// Store what `find(which, emit)` hands on for one tile, or for two side by side.
template <int R, class T, class Find> INLINE void store_tiles(T *to, int64_t place, bool has_second, Find find) {
    if constexpr (STEP<T> == 1) find(0, [&](int p, Vector got) { store(to + p * place, got); });
    else {
        Half first[PLACES<R>];
        find(0, [&](int p, Vector got) { first[p] = halved(got); });
        if (has_second) find(1, [&](int p, Vector got) { store_pair(to + p * place, first[p], halved(got)); });
        else
            for (int p = 0; p < PLACES<R>; p++) store_pair(to + p * place, first[p], Half{});
    }
}

// v (place, tiles, inputs), with STEP tiles side by side
template <int R, class T, class In> static void take_tiles(const In *x, const Shape &s, int64_t start, int64_t count, T *v, int64_t v_place) {
    for (int64_t t = 0; t < count; t += STEP<T>)
        for (int64_t c = 0; c < s.inputs; c += LANES)
            store_tiles<R>(v + t * s.inputs + STEP<T> * c, v_place, t + 1 < count, [&](int q, auto emit) __attribute__((always_inline)) {
                patch<R>(x, s, start + t + q, c, emit);
            });
}

// d (place, tiles, outs) of the outputs from `from` on
template <int R, class T, class Grad>
static void take_slopes(const Grad *dy, const Shape &s, int64_t start, int64_t count, int64_t from, int64_t outs, T *d, int64_t d_place) {
    for (int64_t t = 0; t < count; t += STEP<T>)
        for (int64_t k = 0; k < outs; k += LANES)
            store_tiles<R>(d + t * outs + STEP<T> * k, d_place, t + 1 < count, [&](int q, auto emit) __attribute__((always_inline)) {
                slopes<R>(dy, s, start + t + q, from + k, emit);
            });
}

// sums (outputs, place, inputs) = or += d^T v
template <int R> INLINE int64_t row_of_sums(const Shape &s) { return PLACES<R> * s.inputs + APART / sizeof(float); }
template <int R, class T>
static void sum_products(const T *d, int64_t d_place, int64_t outs, const T *v, int64_t v_place, const Shape &s, int64_t count, float *sums, bool is_first) {
    int64_t steps = (count + STEP<T> - 1) / STEP<T>, row = row_of_sums<R>(s);
    for (int p = 0; p < PLACES<R>; p++)
        for (int64_t c = 0; c < s.inputs; c += BLOCK) {
            int64_t wide = std::min<int64_t>(BLOCK, s.inputs - c);
            const T *left = d + p * d_place, *right = v + p * v_place + c * STEP<T>;
            float *to = sums + p * s.inputs + c;
            if (is_first) product<false>(wide, left, STEP<T>, outs * STEP<T>, outs, right, s.inputs * STEP<T>, steps, to, row);
            else product<true>(wide, left, STEP<T>, outs * STEP<T>, outs, right, s.inputs * STEP<T>, steps, to, row);
        }
}

// dw = G^T sums G of `outs` outputs; sums of several threads, `apart` from each other, are added up
template <int R> static void give_filters(const float *sums, int parts, int64_t apart, const Shape &s, int64_t outs, float *dw) {
    constexpr int SIDE = SIDE_OF<R>;
    for (int64_t k = 0; k < outs; k++)
        for (int64_t c = 0; c < s.inputs; c += LANES) {
            Vector half[R][SIDE];
            for (int j = 0; j < SIDE; j++) {
                for (int h = 0; h < R; h++) half[h][j] = Vector{};
                for (int i = 0; i < SIDE; i++) {
                    const float *from = sums + k * row_of_sums<R>(s) + (i * SIDE + j) * s.inputs + c;
                    Vector sum = load(from);
                    for (int q = 1; q < parts; q++) sum += load(from + q * apart);
                    for (int h = 0; h < R; h++)
                        if (Filter<R>::G[i][h] != 0) half[h][j] += Filter<R>::G[i][h] * sum;
                }
            }
            for (int h = 0; h < R; h++)
                for (int g = 0; g < R; g++) {
                    Vector sum{};
                    for (int j = 0; j < SIDE; j++)
                        if (Filter<R>::G[j][g] != 0) sum += Filter<R>::G[j][g] * half[h][j];
                    store(dw + ((k * R + h) * R + g) * s.inputs + c, sum);
                }
        }
}

constexpr int64_t HELD_TILES = 512;       // of which all patches are held
constexpr int64_t SHARE = 48;             // outputs that are summed at once then
constexpr int64_t LARGE = 128 * 128;      // inputs times outputs, from which on each thread sums outputs of its own
constexpr int64_t TILES_AT_ONCE = 96;

template <int R, class T, class In>
static bool filter_gradient(const In *x, const In *dy, float *dw, const Shape &s, int threads) {
    int64_t tiles = s.tiles(), lanes = s.outputs / LANES, row = row_of_sums<R>(s), of_output = R * R * s.inputs;
    bool is_held = tiles <= HELD_TILES, is_large = s.inputs * s.outputs > LARGE;
    int64_t at_once = is_held ? (tiles + 1) / 2 * 2 : TILES_AT_ONCE, most = is_held ? SHARE : s.outputs;
    int64_t v_place = at_once * s.inputs + APART / sizeof(T), d_place = at_once * most + APART / sizeof(T);
    size_t each = PLACES<R> * (v_place + d_place) * sizeof(T) + is_held * SHARE * row * sizeof(float);
    int64_t apart = s.outputs * row;
    int parts = is_large ? 1 : threads;
    if (!make_room(threads, each, is_held ? 0 : parts * apart * sizeof(float))) return false;
    auto from = [&](int i) { return lanes * i / threads * LANES; };
    if (is_held) {
        in_threads(threads, [&](int i) {
            auto sums = reinterpret_cast<float *>(rooms[i].at);
            auto v = reinterpret_cast<T *>(sums + SHARE * row), d = v + PLACES<R> * v_place;
            take_tiles<R>(x, s, 0, tiles, v, v_place);
            for (int64_t k = from(i); k < from(i + 1); k += SHARE) {
                int64_t outs = std::min(SHARE, from(i + 1) - k);
                take_slopes<R>(dy, s, 0, tiles, k, outs, d, d_place);
                sum_products<R>(d, d_place, outs, v, v_place, s, tiles, sums, true);
                give_filters<R>(sums, 1, 0, s, outs, dw + k * of_output);
            }
        });
        return true;
    }
    auto sums = reinterpret_cast<float *>(shared.at);
    in_threads(threads, [&](int i) {  // some tiles for all outputs, or all tiles for some outputs
        auto v = reinterpret_cast<T *>(rooms[i].at), d = v + PLACES<R> * v_place;
        int64_t first = is_large ? 0 : tiles * i / threads, last = is_large ? tiles : tiles * (i + 1) / threads;
        int64_t k = is_large ? from(i) : 0, outs = is_large ? from(i + 1) - k : s.outputs;
        float *own = sums + (is_large ? k * row : i * apart);
        for (int64_t start = first; start < last && outs; start += at_once) {
            int64_t count = std::min(at_once, last - start);
            take_tiles<R>(x, s, start, count, v, v_place);
            take_slopes<R>(dy, s, start, count, k, outs, d, d_place);
            sum_products<R>(d, d_place, outs, v, v_place, s, count, own, start == first);
        }
    });
    in_threads(threads, [&](int i) {
        int64_t k = s.outputs * i / threads, end = s.outputs * (i + 1) / threads;
        give_filters<R>(sums + k * row, parts, apart, s, end - k, dw + k * of_output);
    });
    return true;
}

// ---- what Python calls. Pictures are bfloat16 where `is_low`; `low_products` says it of factors. 0: no memory

extern "C" int has_low_products() {
#if defined(__AVX512BF16__)
    return 1;
#else
    return 0;
#endif
}

static int bounded(int64_t threads) { return static_cast<int>(std::clamp<int64_t>(threads, 1, MOST_THREADS)); }

// shape: images, height, width, inputs, outputs, padding, all of this product: where it runs backward, of dy to dx
extern "C" int convolution(const void *x, const float *w, const float *bias, void *y, const int64_t *shape, int kernel, int is_backward, int is_low, int low_products, int64_t threads) {
    int64_t more = 2 * shape[5] - kernel + 1;
    Shape s{shape[0], shape[1], shape[2], shape[3], shape[4], shape[5], shape[1] + more, shape[2] + more};
    auto run = [&](auto size, auto factors, auto pictures) -> int {
        using Picture = decltype(pictures);
        return convolve<decltype(size)::value, decltype(factors)>(
            static_cast<const Picture *>(x), w, bias, static_cast<Picture *>(y), s, is_backward, bounded(threads));
    };
    if (kernel == 5) return is_low ? run(std::integral_constant<int, 5>{}, float{}, bfloat16{}) : run(std::integral_constant<int, 5>{}, float{}, float{});
    std::integral_constant<int, 3> three;
#if defined(__AVX512BF16__)
    if (low_products) return is_low ? run(three, bfloat16{}, bfloat16{}) : run(three, bfloat16{}, float{});
#endif
    return is_low ? run(three, float{}, bfloat16{}) : run(three, float{}, float{});
}

extern "C" int gradient_of_filters(const void *x, const void *dy, float *dw, const int64_t *shape, int kernel, int is_low, int low_products, int64_t threads) {
    int64_t more = 2 * shape[5] - kernel + 1;
    Shape s{shape[0], shape[1], shape[2], shape[3], shape[4], shape[5], shape[1] + more, shape[2] + more};
    auto run = [&](auto size, auto factors, auto pictures) -> int {
        using Picture = decltype(pictures);
        return filter_gradient<decltype(size)::value, decltype(factors)>(
            static_cast<const Picture *>(x), static_cast<const Picture *>(dy), dw, s, bounded(threads));
    };
    if (kernel == 5) return is_low ? run(std::integral_constant<int, 5>{}, float{}, bfloat16{}) : run(std::integral_constant<int, 5>{}, float{}, float{});
    std::integral_constant<int, 3> three;
#if defined(__AVX512BF16__)
    if (low_products) return is_low ? run(three, bfloat16{}, bfloat16{}) : run(three, bfloat16{}, float{});
#endif
    return is_low ? run(three, float{}, bfloat16{}) : run(three, float{}, float{});
}
