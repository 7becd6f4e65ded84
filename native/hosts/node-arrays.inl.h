// Arrays of JavaScript in the addon: copies between them, and a look through them. Part of node.cc.

/** An array of 32-bit elements. */
struct Elements {
  char* data = nullptr;
  size_t length = 0;
};

/** False where it is no such array. null gives none. */
bool readElements(napi_env env, napi_value value, Elements& elements) {
  napi_valuetype kind;
  napi_typedarray_type type;
  void* data;
  if (napi_typeof(env, value, &kind) != napi_ok) return false;
  if (kind == napi_null) return true;
  if (napi_get_typedarray_info(env, value, &type, &elements.length, &data, nullptr, nullptr) != napi_ok) return false;
  elements.data = (char*)data;
  return type == napi_float32_array || type == napi_int32_array;
}

/** One side of a copy: where its boxes begin. */
struct Side {
  Elements memory;
  Elements rows;
  int64_t at;
  int64_t strides[3];

  int64_t sample(int64_t s) const { return at + (rows.data ? ((const i32*)rows.data)[s] : s) * strides[0]; }

  /** Whether every run lies in the memory. */
  bool holds(const int64_t* counts, int64_t run) const {
    if (rows.data && (int64_t)rows.length < counts[0]) return false;
    int64_t low = 0, high = run;
    for (int k = 1; k < 3; k++) (strides[k] < 0 ? low : high) += (counts[k] - 1) * strides[k];
    for (int64_t s = 0; s < counts[0]; s++)
      if (sample(s) + low < 0 || sample(s) + high > (int64_t)memory.length) return false;
    return true;
  }
};

/**
 * Where a copy reads next. Large data stands in small pages, often in the order of a shuffle, which the processor does not foresee: what is
 * read a little later is asked for in time.
 */
class Foresight {
 public:
  Foresight(const int64_t* counts, const Side& from) : counts(counts), from(from) {}

  /** Asks for the next `bytes`, which are at most those of a row of boxes. */
  void advance(int64_t bytes, int64_t rowBytes) {
    if (sample >= counts[0]) return;
    const char* first = from.memory.data + (from.sample(sample) + row * from.strides[1]) * 4 + at;
    for (int64_t line = 0; line < bytes; line += LINE) __builtin_prefetch(first + line);
    if ((at += bytes) < rowBytes) return;
    at = 0;
    if (++row < counts[1]) return;
    row = 0;
    sample++;
  }

 private:
  static constexpr int64_t LINE = 64;
  const int64_t* counts;
  const Side& from;
  int64_t sample = 0, row = 0, at = 0;
};

template <typename Run>
void copyBoxes(const int64_t* counts, const Side& to, const Side& from, Run copyRun) {
  for (int64_t s = 0; s < counts[0]; s++)
    for (int64_t i = 0; i < counts[1]; i++) {
      char* target = to.memory.data + (to.sample(s) + i * to.strides[1]) * 4;
      const char* source = from.memory.data + (from.sample(s) + i * from.strides[1]) * 4;
      for (int64_t j = 0; j < counts[2]; j++) copyRun(target + j * to.strides[2] * 4, source + j * from.strides[2] * 4);
    }
}

/** Bytes of an array that is not in the cache any more when all of it is written. */
constexpr size_t LEAVES_CACHE = 8 << 20;

/** Writes past the cache: what is written is not fetched before, and drives nothing else out. */
void copyPast(char* to, const char* from, int64_t bytes) {
#ifdef __SSE2__
  if (!(((uintptr_t)to | (uintptr_t)bytes) & 15)) {
    for (int64_t at = 0; at < bytes; at += 16) _mm_stream_si128((__m128i*)(to + at), _mm_loadu_si128((const __m128i*)(from + at)));
    return;
  }
#endif
  std::memcpy(to, from, bytes);
}

/** Other threads see all that was written so. */
void endCopyPast() {
#ifdef __SSE2__
  _mm_sfence();
#endif
}

/** Rows without boxes inside: each one run, in pieces. @param copyPiece (to, from, bytes) */
template <typename Copy>
void copyRows(const int64_t* counts, int64_t bytes, const Side& to, const Side& from, Copy copyPiece) {
  constexpr int64_t PIECE = 512, AHEAD = 10 * PIECE;
  Foresight foresight(counts, from);
  const int64_t piece = bytes < PIECE ? bytes : PIECE;
  for (int64_t ahead = 0; ahead < AHEAD; ahead += piece) foresight.advance(piece, bytes);
  for (int64_t s = 0; s < counts[0]; s++)
    for (int64_t i = 0; i < counts[1]; i++) {
      char* target = to.memory.data + (to.sample(s) + i * to.strides[1]) * 4;
      const char* source = from.memory.data + (from.sample(s) + i * from.strides[1]) * 4;
      for (int64_t at = 0; at < bytes; at += piece) {
        foresight.advance(piece, bytes);
        copyPiece(target + at, source + at, at + piece < bytes ? piece : bytes - at);
      }
    }
}

/**
 * copy(to, from, box, toRows, fromRows): copies boxes of runs; false, and nothing copied, where they leave the arrays. The last number of the
 * box is 1 for what the machine does not read again.
 */
napi_value copy(napi_env env, napi_callback_info info) {
  size_t count = 5, length;
  napi_value arguments[5], done;
  napi_typedarray_type type;
  void* data;
  Side to, from;
  CHECK(napi_get_cb_info(env, info, &count, arguments, nullptr, nullptr));
  CHECK(napi_get_typedarray_info(env, arguments[2], &type, &length, &data, nullptr, nullptr));
  bool fits = count == 5 && type == napi_float64_array && length == 13 && readElements(env, arguments[0], to.memory) &&
              readElements(env, arguments[1], from.memory) && readElements(env, arguments[3], to.rows) &&
              readElements(env, arguments[4], from.rows);
  if (fits) {
    const double* box = (const double*)data;
    int64_t counts[3];
    for (int k = 0; k < 3; k++) {
      counts[k] = (int64_t)box[k];
      to.strides[k] = (int64_t)box[5 + k];
      from.strides[k] = (int64_t)box[9 + k];
    }
    const int64_t run = (int64_t)box[3];
    to.at = (int64_t)box[4];
    from.at = (int64_t)box[8];
    fits = to.holds(counts, run) && from.holds(counts, run);
    if (fits && counts[2] == 1 && run > 1 && box[12] == 1 && to.memory.length * 4 >= LEAVES_CACHE) {
      copyRows(counts, run * 4, to, from, copyPast);
      endCopyPast();
    } else if (fits && counts[2] == 1 && run > 1)
      copyRows(counts, run * 4, to, from, std::memcpy);
    else if (fits && run == 1)
      copyBoxes(counts, to, from, [](char* target, const char* source) { std::memcpy(target, source, 4); });
    else if (fits)
      copyBoxes(counts, to, from, [run](char* target, const char* source) { std::memcpy(target, source, run * 4); });
  }
  CHECK(napi_get_boolean(env, fits, &done));
  return done;
}

/** isFinite(array): whether a Float32Array holds neither NaN nor an infinite number; false for other arrays. */
napi_value isFinite(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value argument, answer;
  Elements elements;
  napi_typedarray_type type;
  CHECK(napi_get_cb_info(env, info, &count, &argument, nullptr, nullptr));
  CHECK(napi_get_typedarray_info(env, argument, &type, nullptr, nullptr, nullptr, nullptr));
  bool finite = type == napi_float32_array && readElements(env, argument, elements);
  if (finite) {
    // An exponent of ones, and one more, reaches the highest bit; that of all of them together tells.
    const u32* bits = (const u32*)elements.data;
    u32 seen = 0;
    for (size_t i = 0; i < elements.length; i++) seen |= (bits[i] & 0x7f800000) + 0x800000;
    finite = !(seen >> 31);
  }
  CHECK(napi_get_boolean(env, finite, &answer));
  return answer;
}
