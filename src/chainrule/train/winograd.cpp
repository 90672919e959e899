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

#include "kernels.h"

constexpr int BLOCK = LANES * COLUMNS;
constexpr int M = 4;             // outputs of a tile, down and across
constexpr int64_t APART = 64;    // bytes between places, so that they do not all fall into the same part of the cache

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

INLINE void filter_to_places(const Vector (&w)[3], Vector (&found)[6]) {
    Vector even = -1 / 6.f * (w[0] + w[2]), odd = -1 / 6.f * w[1];
    Vector more = 1 / 24.f * w[0] + 1 / 6.f * w[2], less = 1 / 12.f * w[1];
    found[0] = 0.25f * w[0], found[1] = even + odd, found[2] = even - odd, found[3] = more + less, found[4] = more - less;
    found[5] = w[2];
}
INLINE void filter_to_places(const Vector (&w)[5], Vector (&found)[8]) {
    Vector a = -2 / 9.f * (w[0] + w[2] + w[4]), b = -2 / 9.f * (w[1] + w[3]);
    Vector c = 1 / 90.f * (w[0] + 4 * w[2] + 16 * w[4]), e = 1 / 90.f * (2 * w[1] + 8 * w[3]);
    Vector f = 2 / 45.f * (16 * w[0] + 4 * w[2] + w[4]), g = 2 / 45.f * (8 * w[1] + 2 * w[3]);
    found[0] = w[0], found[1] = a + b, found[2] = a - b, found[3] = c + e, found[4] = c - e, found[5] = f + g, found[6] = f - g;
    found[7] = w[4];
}
INLINE void places_to_filter(const Vector (&m)[6], Vector (&w)[3]) {  // their transposes
    Vector a = -1 / 6.f * (m[1] + m[2]), b = 1 / 24.f * (m[3] + m[4]);
    w[0] = 0.25f * m[0] + a + b, w[1] = 1 / 6.f * (m[2] - m[1]) + 1 / 12.f * (m[3] - m[4]), w[2] = a + 4 * b + m[5];
}
INLINE void places_to_filter(const Vector (&m)[8], Vector (&w)[5]) {
    Vector a = -2 / 9.f * (m[1] + m[2]), b = 2 / 9.f * (m[2] - m[1]);
    Vector c = 1 / 90.f * (m[3] + m[4]), e = 1 / 90.f * (m[3] - m[4]), f = 2 / 45.f * (m[5] + m[6]), g = 2 / 45.f * (m[5] - m[6]);
    w[0] = m[0] + a + c + 16 * f, w[1] = b + 2 * e + 8 * g, w[2] = a + 4 * c + 4 * f, w[3] = b + 8 * e + 2 * g;
    w[4] = a + 16 * c + f + m[7];
}

template <int R> constexpr int SIDE_OF = R + M - 1;
template <int R> constexpr int PLACES = SIDE_OF<R> * SIDE_OF<R>;

template <int R> INLINE void filter_to_places(const Vector (&taps)[R][R], Vector (&found)[PLACES<R>]) {
    constexpr int SIDE = SIDE_OF<R>;
    Vector half[R][SIDE];
    for (int h = 0; h < R; h++) filter_to_places(taps[h], half[h]);
    for (int j = 0; j < SIDE; j++) {
        Vector column[R], places[SIDE];
        for (int h = 0; h < R; h++) column[h] = half[h][j];
        filter_to_places(column, places);
        for (int i = 0; i < SIDE; i++) found[i * SIDE + j] = places[i];
    }
}

// Rows to columns: each round lays the first half of the vectors between the second.
template <int... I> INLINE Vector lower(Vector a, Vector b, std::integer_sequence<int, I...>) {
    return __builtin_shufflevector(a, b, (I / 2 + (I % 2) * LANES)...);
}
template <int... I> INLINE Vector upper(Vector a, Vector b, std::integer_sequence<int, I...>) {
    return __builtin_shufflevector(a, b, (I / 2 + LANES / 2 + (I % 2) * LANES)...);
}
INLINE void transpose(Vector (&v)[LANES]) {
    constexpr auto COUNTED = std::make_integer_sequence<int, LANES>{};
    for (int round = 1; round < LANES; round *= 2) {
        Vector next[LANES];
        for (int i = 0; i < LANES / 2; i++) {
            next[2 * i] = lower(v[i], v[i + LANES / 2], COUNTED);
            next[2 * i + 1] = upper(v[i], v[i + LANES / 2], COUNTED);
        }
        for (int i = 0; i < LANES; i++) v[i] = next[i];
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

// ---- memory that stays between calls

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

struct Range {
    int64_t first, count;
};

// Columns are outputs from `first` on, and the depth is some of the inputs.
template <int R, class T> static void forward_filters(const float *w, int64_t inputs, int64_t outputs, int64_t first, Range depth, T *u) {
    int64_t wide = std::min<int64_t>(BLOCK, outputs - first);
    Vector turned[LANES][R][R];  // by input; its lanes are outputs
    for (int64_t k = 0; k < wide; k += LANES)
        for (int64_t c = 0; c < depth.count; c += LANES) {
            for (int tap = 0; tap < R * R; tap++) {
                Vector rows[LANES];
                for (int l = 0; l < LANES; l++) rows[l] = load(w + ((first + k + l) * R * R + tap) * inputs + depth.first + c);
                transpose(rows);
                for (int q = 0; q < LANES; q++) turned[q][tap / R][tap % R] = rows[q];
            }
            for (int q = 0; q < LANES; q += STEP<T>) {
                Vector found[STEP<T>][PLACES<R>];
                for (int z = 0; z < STEP<T>; z++) filter_to_places<R>(turned[q + z], found[z]);
                for (int p = 0; p < PLACES<R>; p++) {
                    T *to = u + p * place_of_filter(depth.count) + (c + q) * wide + k * STEP<T>;
                    if constexpr (STEP<T> == 1) store(to, found[0][p]);
                    else store_pair(to, halved(found[0][p]), halved(found[1][p]));
                }
            }
        }
}

// Columns are inputs from `first` on, the depth is some of the outputs, and the filters are turned around.
template <int R, class T> static void backward_filters(const float *w, int64_t inputs, int64_t first, Range depth, T *u) {
    int64_t wide = std::min<int64_t>(BLOCK, inputs - first);
    for (int64_t k = 0; k < depth.count; k += STEP<T>)
        for (int64_t c = 0; c < wide; c += LANES) {
            Vector found[STEP<T>][PLACES<R>];
            for (int z = 0; z < STEP<T>; z++) {
                Vector taps[R][R];
                for (int tap = 0; tap < R * R; tap++)
                    taps[R - 1 - tap / R][R - 1 - tap % R] = load(w + ((depth.first + k + z) * R * R + tap) * inputs + first + c);
                filter_to_places<R>(taps, found[z]);
            }
            for (int p = 0; p < PLACES<R>; p++) {
                T *to = u + p * place_of_filter(depth.count) + k * wide + c * STEP<T>;
                if constexpr (STEP<T> == 1) store(to, found[0][p]);
                else store_pair(to, halved(found[0][p]), halved(found[1][p]));
            }
        }
}

// ---- y = x * w

// v (place, tiles, inputs) of some inputs
template <int R, class T, class In> static void take_patches(const In *x, const Shape &s, Range tiles, Range inputs, T *v, int64_t v_place) {
    for (int64_t t = 0; t < tiles.count; t++)
        for (int64_t c = 0; c < inputs.count; c += LANES)
            patch<R>(x, s, tiles.first + t, inputs.first + c, [&](int p, Vector got) { store(v + p * v_place + t * inputs.count + c, got); });
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

template <int R, bool ADD, class T>
static void multiply(const T *v, int64_t v_place, int64_t depth, int64_t count, const T *u, int64_t wide, float *m, int64_t m_place, int64_t columns) {
    for (int p = 0; p < PLACES<R>; p++)
        product<ADD>(wide, v + p * v_place, depth, STEP<T>, count, u + p * place_of_filter(depth), wide * STEP<T>, depth / STEP<T>, m + p * m_place, columns);
}

constexpr int64_t FEW_TILES = 192;  // which are taken together; filters then go by a part at a time, and only once
constexpr int64_t PART = 256;       // bytes of channels that are summed at once then

template <int R, class T, class In, class Out>
static bool convolve(const In *x, const float *w, const float *bias, Out *y, const Shape &s, bool is_backward, int threads) {
    auto filters = [&](int64_t block, Range depth, T *u) {
        if (is_backward) backward_filters<R>(w, s.outputs, block * BLOCK, depth, u);
        else forward_filters<R>(w, s.inputs, s.outputs, block * BLOCK, depth, u);
    };
    int64_t tiles = s.tiles(), blocks = (s.outputs + BLOCK - 1) / BLOCK;
    auto width = [&](int64_t block) { return std::min<int64_t>(BLOCK, s.outputs - block * BLOCK); };
    bool is_few = tiles <= FEW_TILES;
    int64_t at_once = is_few ? tiles : s.inputs > 128 || R > 3 ? 12 : 24;
    int64_t deep = is_few ? std::min<int64_t>(s.inputs, PART / sizeof(T)) : s.inputs, columns = is_few ? BLOCK : s.outputs;
    int64_t of_filters = PLACES<R> * place_of_filter(deep);
    int64_t v_place = at_once * deep + APART / sizeof(T), m_place = at_once * columns + APART / sizeof(float);
    size_t each = PLACES<R> * (v_place * sizeof(T) + m_place * sizeof(float)) + is_few * of_filters * sizeof(T);
    if (!make_room(threads, each, is_few ? 0 : blocks * of_filters * sizeof(T))) return false;
    if (is_few) {
        in_threads(threads, [&](int i) {
            auto m = reinterpret_cast<float *>(rooms[i].at);
            auto v = reinterpret_cast<T *>(m + PLACES<R> * m_place), u = v + PLACES<R> * v_place;
            for (int64_t block = blocks * i / threads; block < blocks * (i + 1) / threads; block++) {
                for (int64_t c = 0; c < s.inputs; c += deep) {
                    Range part{c, std::min(deep, s.inputs - c)};
                    take_patches<R>(x, s, {0, tiles}, part, v, v_place);
                    filters(block, part, u);
                    if (c) multiply<R, true>(v, v_place, part.count, tiles, u, width(block), m, m_place, width(block));
                    else multiply<R, false>(v, v_place, part.count, tiles, u, width(block), m, m_place, width(block));
                }
                give_outputs<R>(m, m_place, width(block), bias, y, s, 0, tiles, block * BLOCK);
            }
        });
        return true;
    }
    auto u = reinterpret_cast<T *>(shared.at);
    in_threads(threads, [&](int i) {
        for (int64_t block = i; block < blocks; block += threads) filters(block, {0, s.inputs}, u + block * of_filters);
    });
    in_threads(threads, [&](int i) {
        auto m = reinterpret_cast<float *>(rooms[i].at);
        auto v = reinterpret_cast<T *>(m + PLACES<R> * m_place);
        int64_t last = tiles * (i + 1) / threads;
        for (int64_t start = tiles * i / threads; start < last; start += at_once) {
            int64_t count = std::min(at_once, last - start);
            take_patches<R>(x, s, {start, count}, {0, s.inputs}, v, v_place);
            for (int64_t block = 0; block < blocks; block++)
                multiply<R, false>(v, v_place, s.inputs, count, u + block * of_filters, width(block), m + block * BLOCK, m_place, s.outputs);
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

// v (place, tiles, inputs) of some inputs, with STEP tiles side by side
template <int R, class T, class In> static void take_tiles(const In *x, const Shape &s, Range tiles, Range inputs, T *v, int64_t v_place) {
    for (int64_t t = 0; t < tiles.count; t += STEP<T>)
        for (int64_t c = 0; c < inputs.count; c += LANES)
            store_tiles<R>(v + t * inputs.count + STEP<T> * c, v_place, t + 1 < tiles.count, [&](int q, auto emit) __attribute__((always_inline)) {
                patch<R>(x, s, tiles.first + t + q, inputs.first + c, emit);
            });
}

// d (place, tiles, outputs) of some outputs
template <int R, class T, class Grad>
static void take_slopes(const Grad *dy, const Shape &s, Range tiles, Range outputs, T *d, int64_t d_place) {
    for (int64_t t = 0; t < tiles.count; t += STEP<T>)
        for (int64_t k = 0; k < outputs.count; k += LANES)
            store_tiles<R>(d + t * outputs.count + STEP<T> * k, d_place, t + 1 < tiles.count, [&](int q, auto emit) __attribute__((always_inline)) {
                slopes<R>(dy, s, tiles.first + t + q, outputs.first + k, emit);
            });
}

// sums (outputs, place, inputs) = or += d^T v
template <int R> INLINE int64_t row_of_sums(int64_t inputs) { return PLACES<R> * inputs + APART / sizeof(float); }
template <int R, class T>
static void sum_products(const T *d, int64_t d_place, int64_t outputs, const T *v, int64_t v_place, int64_t inputs, int64_t tiles, float *sums, bool is_first) {
    int64_t steps = (tiles + STEP<T> - 1) / STEP<T>, row = row_of_sums<R>(inputs);
    for (int p = 0; p < PLACES<R>; p++)
        for (int64_t c = 0; c < inputs; c += BLOCK) {
            int64_t wide = std::min<int64_t>(BLOCK, inputs - c);
            const T *left = d + p * d_place, *right = v + p * v_place + c * STEP<T>;
            float *to = sums + p * inputs + c;
            if (is_first) product<false>(wide, left, STEP<T>, outputs * STEP<T>, outputs, right, inputs * STEP<T>, steps, to, row);
            else product<true>(wide, left, STEP<T>, outputs * STEP<T>, outputs, right, inputs * STEP<T>, steps, to, row);
        }
}

// dw of the sums of some outputs and inputs; sums of several threads, `apart` from each other, are added up
template <int R> static void give_filters(const float *sums, int parts, int64_t apart, const Shape &s, Range outputs, Range inputs, float *dw) {
    constexpr int SIDE = SIDE_OF<R>;
    for (int64_t k = 0; k < outputs.count; k++)
        for (int64_t c = 0; c < inputs.count; c += LANES) {
            Vector half[R][SIDE];
            for (int j = 0; j < SIDE; j++) {
                Vector places[SIDE], taps[R];
                for (int i = 0; i < SIDE; i++) {
                    const float *from = sums + k * row_of_sums<R>(inputs.count) + (i * SIDE + j) * inputs.count + c;
                    places[i] = load(from);
                    for (int q = 1; q < parts; q++) places[i] += load(from + q * apart);
                }
                places_to_filter(places, taps);
                for (int h = 0; h < R; h++) half[h][j] = taps[h];
            }
            for (int h = 0; h < R; h++) {
                Vector taps[R];
                places_to_filter(half[h], taps);
                for (int g = 0; g < R; g++) store(dw + (((outputs.first + k) * R + h) * R + g) * s.inputs + inputs.first + c, taps[g]);
            }
        }
}

constexpr int64_t HELD_TILES = 512;   // which are taken together, for some outputs and inputs at a time
constexpr int64_t SOME_OUTPUTS = 48, SOME_INPUTS = 128;
constexpr int64_t LARGE = 128 * 128;  // inputs times outputs, from which on each thread sums outputs of its own
constexpr int64_t TILES_AT_ONCE = 96;

template <int R, class T, class In>
static bool filter_gradient(const In *x, const In *dy, float *dw, const Shape &s, int threads) {
    int64_t tiles = s.tiles(), lanes = s.outputs / LANES;
    bool is_held = tiles <= HELD_TILES, is_large = s.inputs * s.outputs > LARGE;
    int64_t at_once = is_held ? (tiles + 1) / 2 * 2 : TILES_AT_ONCE;
    int64_t outs = is_held ? SOME_OUTPUTS : s.outputs, ins = is_held ? std::min(SOME_INPUTS, s.inputs) : s.inputs;
    int64_t v_place = at_once * ins + APART / sizeof(T), d_place = at_once * outs + APART / sizeof(T), row = row_of_sums<R>(ins);
    size_t each = PLACES<R> * (v_place + d_place) * sizeof(T) + is_held * SOME_OUTPUTS * row * sizeof(float);
    int64_t apart = s.outputs * row;
    int parts = is_large ? 1 : threads;
    if (!make_room(threads, each, is_held ? 0 : parts * apart * sizeof(float))) return false;
    auto from = [&](int i) { return lanes * i / threads * LANES; };
    if (is_held) {
        in_threads(threads, [&](int i) {
            auto sums = reinterpret_cast<float *>(rooms[i].at);
            auto v = reinterpret_cast<T *>(sums + SOME_OUTPUTS * row), d = v + PLACES<R> * v_place;
            for (int64_t c = 0; c < s.inputs; c += ins) {
                Range inputs{c, std::min(ins, s.inputs - c)};
                take_tiles<R>(x, s, {0, tiles}, inputs, v, v_place);
                for (int64_t k = from(i); k < from(i + 1); k += SOME_OUTPUTS) {
                    Range outputs{k, std::min(SOME_OUTPUTS, from(i + 1) - k)};
                    take_slopes<R>(dy, s, {0, tiles}, outputs, d, d_place);
                    sum_products<R>(d, d_place, outputs.count, v, v_place, inputs.count, tiles, sums, true);
                    give_filters<R>(sums, 1, 0, s, outputs, inputs, dw);
                }
            }
        });
        return true;
    }
    auto sums = reinterpret_cast<float *>(shared.at);
    in_threads(threads, [&](int i) {  // some tiles for all outputs, or all tiles for some outputs
        auto v = reinterpret_cast<T *>(rooms[i].at), d = v + PLACES<R> * v_place;
        int64_t first = is_large ? 0 : tiles * i / threads, last = is_large ? tiles : tiles * (i + 1) / threads;
        Range outputs = is_large ? Range{from(i), from(i + 1) - from(i)} : Range{0, s.outputs};
        float *own = sums + (is_large ? outputs.first * row : i * apart);
        for (int64_t start = first; start < last && outputs.count; start += at_once) {
            Range some{start, std::min(at_once, last - start)};
            take_tiles<R>(x, s, some, {0, s.inputs}, v, v_place);
            take_slopes<R>(dy, s, some, outputs, d, d_place);
            sum_products<R>(d, d_place, outputs.count, v, v_place, s.inputs, some.count, own, start == first);
        }
    });
    in_threads(threads, [&](int i) {
        int64_t k = s.outputs * i / threads, end = s.outputs * (i + 1) / threads;
        give_filters<R>(sums + k * row, parts, apart, s, {k, end - k}, {0, s.inputs}, dw);
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
