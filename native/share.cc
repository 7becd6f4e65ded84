// Finds what threads may share out. The compiler promises nothing about it: memory is used again within the body of a loop, and a row of one
// value may stand where another row of another value stood. So every access of the instructions that would run side by side is held
// against every other: different threads must never touch the same element unless all of them read it.
#include "share.h"

#include "generated/treaty.h"
#include "limits.h"

namespace unrolled {
namespace {

/** How an access follows the units (rows, vectors): `row` by a pitch, `all` the same elements for each, `own` each some elements of its own. */
enum Manner { ROW, ALL, OWN, FIRST_THREAD };

/** Elements low..high of a segment over all passes of the loops around; for a row, `at` and `width` are those of row 0 on the first pass. */
struct Touch {
  i32 segment;
  Manner manner;
  bool writes;
  i64 low, high;
  i64 at, width, pitch;
  bool even;   // the loops around move it by whole sets of rows
  bool apart;  // no pass of the loop around touches what another one does
};

/** In memory that the caller gave. */
template <class T>
struct List {
  T* at;
  i32 size = 0;
  void push(const T& value) { at[size++] = value; }
  T* begin() const { return at; }
  T* end() const { return at + size; }
};

struct Window {
  i64 low = 0, high = 0;
  bool empty = false;
  Window& over(i64 count, i64 stride) {
    if (count <= 0) empty = true;
    else if (stride < 0) low += (count - 1) * stride;
    else high += (count - 1) * stride;
    return *this;
  }
  Window& width(i64 n) {
    if (n <= 0) empty = true;
    high += n;
    return *this;
  }
};

class Finder {
 public:
  Finder(const i32* encoded, Share* shares, void* workspace)
      : encoded(encoded), start(encoded + HEADER + 2 * encoded[header_slots]), shares(shares), touches{(Touch*)workspace} {}

  index find() {
    for (i32 i = 0; i < encoded[header_code]; i++) shares[i] = {0, 0};
    walk(start);
    return scratch;
  }

 private:
  const i32* encoded;
  const i32* start;
  Share* shares;
  const i32* code = nullptr;
  const i32* around[MAXIMUM_LOOPS];
  List<const i32*> loops{around};
  List<Touch> touches;
  i64 units = 0;
  index scratch = 0;

  /** The instructions up to the NEXT or END that belongs to them; gives it, and the greatest cost of one that is shared. */
  const i32* walk(const i32* at, i32* greatest = nullptr) {
    for (const i32* next;; at = next) {
      next = at + at[1] + (at[0] == OP_LOOP ? at[loop_field::body] : 0);
      if (at[0] == OP_NEXT || at[0] == OP_END) return at;
      Share& share = shares[at - start];
      if (at[0] == OP_LOOP) share = loop(at);
      else {
        touches.size = 0;
        code = at;
        if (single() && units > 1 && independent()) {
          share = {(i32)units, nanoseconds(cost())};
          keepScratch();
        }
      }
      if (greatest && share.units && share.cost > *greatest) *greatest = share.cost;
    }
  }

  static i32 nanoseconds(i64 n) { return n > 0x7fffffff ? 0x7fffffff : (i32)n; }

  Share loop(const i32* at) {
    const i32* body = at + at[1];
    const i32* end = body + at[loop_field::body];
    loops.push(at);
    Share share = rowsOfBody(at, body, end);
    if (!share.units) {
      i32 greatest = 0;
      walk(body, &greatest);
      // What threads do together in a body with active rows would have to keep to them; nothing needs it.
      if (greatest && !at[loop_field::activeRows]) share = {SHARED_INSIDE, greatest};
    }
    loops.size--;
    return share;
  }

  /** The rows of all instructions of the body, where each thread can do its own on every pass. */
  Share rowsOfBody(const i32* at, const i32* body, const i32* end) {
    touches.size = 0;
    units = at[loop_field::activeRows];
    if (units) touch(at, loop_field::activeAt, Window().over(at[loop_field::count], at[loop_field::activeStride]).width(1), ALL, 0, false);
    i64 work = 0;
    for (code = body; code[0] != OP_NEXT; code += code[1]) {
      const i64 rows = rowsInLoop();
      if (rows < 2 || (units && rows != units)) return {0, 0};
      units = rows;
    }
    for (code = body; code[0] != OP_NEXT; code += code[1]) {
      rowTouches();
      work += cost();
    }
    if (code + code[1] != end || units < 2 || !independent()) return {0, 0};
    for (code = body; code[0] != OP_NEXT; code += code[1]) keepScratch();
    return {(i32)units, nanoseconds(work * at[loop_field::count])};
  }

  /** Rows of an instruction that can do some of them in a loop; 0 for all others. */
  i64 rowsInLoop() const {
    switch (code[0]) {
      case OP_PRODUCT: return code[product_field::groups] ? 0 : code[product_field::rows];
      case OP_MATVEC: return code[matvec_field::rows];
      case OP_COPY: return code[copy_field::dims] ? code[copy_field::dims + 1 + copy_field::dims_size] : 0;
      case OP_HOLD: return code[hold_field::rows];
      case OP_REDUCE_LAST: return pitchOfResults() ? code[reduce_last_field::rows] : 0;
      case OP_CHAIN: {
        const i32 all = code[chain_field::vectors], perRow = code[chain_field::perRow];
        return all % perRow ? 0 : all / perRow;
      }
      default: return 0;
    }
  }

  /** Units and touches of an instruction by itself; false where it is not shared out. */
  bool single() {
    units = rowsInLoop();
    switch (code[0]) {
      case OP_HOLD: return false;
      case OP_PRODUCT: units = code[product_field::rows]; break;
      case OP_CHAIN:
        if (units == 1 || onlyFlat()) {
          units = code[chain_field::vectors];
          chain(1, code[chain_field::perRow] == units);
          return true;
        }
        break;
      case OP_MATVEC:
      case OP_COPY: break;
      default: return byBlocks();
    }
    if (units > 1) rowTouches();
    return true;
  }

  /** The touches of an instruction whose units are rows. */
  void rowTouches() {
    switch (code[0]) {
      case OP_PRODUCT: return product();
      case OP_MATVEC: return matvec();
      case OP_REDUCE_LAST: return reduceLast();
      case OP_HOLD: return hold();
      case OP_CHAIN: return chain(code[chain_field::perRow], false);
      default: return copy();
    }
  }

  void product() {
    using namespace product_field;
    const i64 packedWidth = (i64)code[blocks] * LANES, width = packedWidth + (code[period] ? packedWidth / code[period] : 0);
    each(segments, segments_integers, [&](const i32* s) {
      touch(s, segments_at, Window().over(s[segments_count], s[segments_step]).width(1), ROW, s[segments_pitch], false);
    });
    touch(code, packed, Window().width(code[total] * packedWidth), ALL, 0, false);
    if (code[init] == init_row) touch(code, initAt, Window().width(width), ALL, 0, false);
    if (code[init] == init_matrix) touch(code, initAt, Window().width(width), ROW, code[initPitch], false);
    touch(code, dst, Window().width(width), ROW, code[dstPitch], true);
    if (code[groups]) touch(code, countsAt, Window().width(code[groups]), ALL, 0, false);
  }

  void matvec() {
    using namespace matvec_field;
    i64 sum = 0;
    each(segments, segments_integers, [&](const i32* s) {
      sum += s[segments_count];
      touch(s, segments_at, Window().over(s[segments_count], s[segments_step]).width(1), ROW, s[segments_pitch], false);
    });
    touch(code, w, Window().width(sum), ALL, 0, false);
    if (code[init] != init_zero) touch(code, initAt, Window().width(1), ROW, code[init] == init_matrix, false);
    touch(code, dst, Window().width(1), ROW, 1, true);
  }

  /** Elements from the result of one row to the next; 0 where that is not the same everywhere. */
  i64 pitchOfResults() const {
    using namespace reduce_last_field;
    return code[inner] == 1 ? code[dstPitch] : code[inner] >= code[rows] ? 1 : 0;
  }

  void reduceLast() {
    using namespace reduce_last_field;
    touch(code, src, Window().width(code[cols]), ROW, code[pitch], false);
    touch(code, dst, Window().width(1), ROW, pitchOfResults(), true);
  }

  void hold() {
    using namespace hold_field;
    each(sources, sources_integers, [&](const i32* s) {
      touch(s, sources_at, Window().over(code[blocks], s[sources_step]).width(LANES), ROW, s[sources_pitch], false);
    });
    touch(code, dst, Window().over(code[blocks], code[dstStep]).width(LANES), ROW, code[dstPitch], true);
  }

  void copy() {
    using namespace copy_field;
    Window from = Window().width(1), to = Window().width(1);
    const i32* d = code + dims + 1;
    for (i32 i = 1; i < code[dims]; i++) {
      const i32* inner = d + i * dims_integers;
      from.over(inner[dims_size], inner[dims_srcStride]);
      to.over(inner[dims_size], inner[dims_dstStride]);
    }
    touch(code, src, from, ROW, d[dims_srcStride], false);
    touch(code, dst, to, ROW, d[dims_dstStride], true);
  }

  /** In the place of an operation of a chain: its view of indices. */
  enum { INDICES = CHAIN_OPCODES };

  template <class F>
  void eachOperation(F f) const {
    using namespace chain_field;
    const i32 viewCount = code[views];
    const i32* view = code + views + 1;
    const i32* op = view + viewCount * views_integers;
    for (i32 n = *op++; n > 0; n--, op += ops_integers) {
      for (int i = 0; i < chainRows[op[ops_op]].arity; i++)
        if (op[ops_a + i] < viewCount) f(i && chainRows[op[ops_op]].memory ? INDICES : op[ops_op], view + op[ops_a + i] * views_integers, false);
      if (op[ops_d] < viewCount) f(op[ops_op], view + op[ops_d] * views_integers, true);
    }
  }

  /** Whether rows play no part in the chain. */
  bool onlyFlat() const {
    bool flat = true;
    eachOperation([&](i32 op, const i32*, bool) { flat = flat && op != INDICES && (!chainRows[op].memory || op == CHAIN_LOAD_SCALAR); });
    return flat;
  }

  /** Units of `each` vectors, which are rows but where they are vectors of one row. */
  void chain(i64 each, bool oneRow) {
    using namespace chain_field;
    eachOperation([&](i32 op, const i32* view, bool writes) {
      const i64 step = view[views_step];
      const i64 rowPitch = oneRow ? step : view[views_pitch];
      Window window = Window().over(each, step).width(LANES);
      switch (op) {
        case CHAIN_LOAD: return touch(view, views_at, window, ROW, rowPitch, false);
        case CHAIN_LOAD_ROW: return touch(view, views_at, window, oneRow ? ROW : ALL, step, false);
        case CHAIN_LOAD_COLUMN: return touch(view, views_at, Window().width(1), oneRow ? ALL : ROW, rowPitch, false);
        case CHAIN_LOAD_SCALAR: return touch(view, views_at, Window().width(1), ALL, 0, false);
        case INDICES: return touch(view, views_at, Window().width(1), oneRow ? ALL : ROW, rowPitch, false);
        // One row may be named twice, so a chain that writes rows by index is not shared out.
        case CHAIN_LOAD_INDEXED:
        case CHAIN_STORE_INDEXED:
          return touch(view, views_at, Window().over(view[views_cols], view[views_pitch]).over(code[perRow], step).width(LANES), ALL, 0, writes);
        case CHAIN_STORE: {
          const i64 cols = view[views_cols], whole = cols / LANES;
          if (!oneRow && whole < each) {
            Window tail = Window().width(cols % LANES);
            tail.low += whole * step;
            tail.high += whole * step;
            touch(view, views_at, tail, ROW, rowPitch, true);
            window = Window().over(whole, step).width(LANES);
          }
          return touch(view, views_at, window, ROW, rowPitch, true);
        }
        default: return touch(view, views_at, window, ROW, each * step, writes);
      }
    });
    if (code[registers])
      touch(code, chain_field::scratch, Window().width((i64)code[registers] * code[block] * LANES), FIRST_THREAD, 0, true);
  }

  /** Instructions that run by blocks of columns, or by rows that they find themselves. */
  bool byBlocks() {
    const auto at = [&](int field) { return (i64)code[field]; };
    const auto reads = [&](int field, Window w) { touch(code, field, w, ALL, 0, false); };
    const auto writes = [&](int field, Window w) { touch(code, field, w, OWN, 0, true); };
    const auto ids = [&](int rows, int field, int inner, int pitch) {
      reads(field, Window().over((at(rows) + at(inner) - 1) / at(inner), at(pitch)).width(at(inner)));
    };
    switch (code[0]) {
      case OP_PACK: {
        using namespace pack_field;
        if (!code[panel]) return false;
        units = (at(pack_field::blocks) + at(panel) - 1) / at(panel);
        const i64 width = at(pack_field::blocks) * LANES;
        each(runs, runs_integers, [&](const i32* run) {
          const i64 used = at(cols) < width ? at(cols) : width;
          touch(run, runs_at, Window().over(run[runs_count], run[runs_step]).over(used, at(nStep)).width(1), ALL, 0, false);
        });
        writes(dst, Window().width(at(total) * width));
        return true;
      }
      case OP_PRODUCT_TN: {
        using namespace product_tn_field;
        const i64 width = at(product_tn_field::blocks) * LANES;
        units = at(product_tn_field::blocks) / (code[period] ? at(period) : 1);
        each(segments, segments_integers, [&](const i32* s) {
          const i64 own = s[segments_without] ? width - units * LANES : width;
          touch(s, segments_at, Window().over(at(rows), s[segments_pitch]).width(s[segments_cols]), ALL, 0, false);
          touch(s, segments_dst, Window().over(s[segments_cols], s[segments_dstPitch]).width(own), OWN, 0, true);
        });
        reads(b, Window().over(at(rows), at(bPitch)).width(width));
        if (code[sums]) writes(sumAt, Window().width(width));
        if (code[groups]) reads(countsAt, Window().width(at(groups)));
        touch(code, product_tn_field::scratch, Window().width(at(scratchFloats)), FIRST_THREAD, 0, true);
        return true;
      }
      case OP_REDUCE_LAST: {
        using namespace reduce_last_field;
        units = at(rows);
        reads(src, Window().over(units, at(pitch)).width(at(cols)));
        writes(dst, Window().over((units + at(inner) - 1) / at(inner), at(dstPitch)).width(at(inner)));
        return true;
      }
      case OP_REDUCE_MIDDLE: {
        using namespace reduce_middle_field;
        const i64 width = at(reduce_middle_field::blocks) * LANES;
        units = at(outer) * at(reduce_middle_field::blocks);
        reads(src, Window().over(at(outer), at(outerStride)).over(at(middle), at(middleStride)).width(width));
        writes(dst, Window().over(at(outer), at(dstOuterStride)).width(width));
        return true;
      }
      case OP_FILL:
        units = at(fill_field::count);
        writes(fill_field::dst, Window().width(units));
        return true;
      case OP_GATHER: {
        using namespace gather_field;
        const i64 width = at(gather_field::blocks) * LANES;
        units = at(rows);
        ids(rows, gather_field::ids, inner, idsPitch);
        reads(table, Window().over(at(vocabulary), at(tablePitch)).width(width));
        touch(code, dst, Window().width(width), ROW, at(dstPitch), true);
        return true;
      }
      case OP_SCATTER_ADD: {
        using namespace scatter_add_field;
        units = at(scatter_add_field::blocks);
        ids(rows, scatter_add_field::ids, inner, idsPitch);
        reads(src, Window().over(at(rows), at(srcPitch)).width(units * LANES));
        writes(dst, Window().over(at(vocabulary), at(dstPitch)).width(units * LANES));
        return true;
      }
      case OP_ONE_HOT: {
        using namespace one_hot_field;
        units = at(rows);
        ids(rows, one_hot_field::ids, inner, idsPitch);
        touch(code, dst, Window().width(at(one_hot_field::blocks) * LANES), ROW, at(dstPitch), true);
        return true;
      }
      case OP_RANDOM: {
        using namespace random_field;
        units = at(rows);
        reads(key, Window().width(2));
        touch(code, dst, Window().width(at(cols)), ROW, at(pitch), true);
        return true;
      }
      default: return false;
    }
  }

  /** Nanoseconds, about, on one core with wide vectors. */
  i64 cost() const {
    const auto at = [&](int field) { return (i64)code[field]; };
    switch (code[0]) {
      case OP_PRODUCT: return at(product_field::rows) * at(product_field::blocks) * (at(product_field::total) + 2) / 3;
      case OP_MATVEC: {
        i64 sum = 8;
        each(matvec_field::segments, matvec_field::segments_integers, [&](const i32* s) { sum += s[matvec_field::segments_count]; });
        return at(matvec_field::rows) * sum / 8;
      }
      case OP_CHAIN: return at(chain_field::vectors) * code[chain_field::views + 1 + code[chain_field::views] * chain_field::views_integers];
      case OP_HOLD: return at(hold_field::rows);
      case OP_COPY: {
        i64 elements = 1;
        each(copy_field::dims, copy_field::dims_integers, [&](const i32* d) { elements *= d[copy_field::dims_size]; });
        return elements / 8;
      }
      case OP_PACK: return at(pack_field::blocks) * at(pack_field::total) * 2;
      case OP_PRODUCT_TN: {
        i64 cols = 2;
        each(product_tn_field::segments, product_tn_field::segments_integers, [&](const i32* s) { cols += s[product_tn_field::segments_cols]; });
        return at(product_tn_field::rows) * at(product_tn_field::blocks) * cols / 3;
      }
      case OP_REDUCE_LAST: return at(reduce_last_field::rows) * (at(reduce_last_field::cols) / 8 + 4);
      case OP_REDUCE_MIDDLE: return at(reduce_middle_field::outer) * at(reduce_middle_field::middle) * at(reduce_middle_field::blocks);
      case OP_FILL: return at(fill_field::count) / 16;
      case OP_GATHER: return at(gather_field::rows) * at(gather_field::blocks);
      case OP_SCATTER_ADD: return (at(scatter_add_field::rows) + at(scatter_add_field::vocabulary)) * at(scatter_add_field::blocks);
      case OP_ONE_HOT: return at(one_hot_field::rows) * at(one_hot_field::blocks);
      case OP_RANDOM: return at(random_field::rows) * at(random_field::cols) * 4;
      default: return 0;
    }
  }

  void keepScratch() {
    index floats = 0;
    if (code[0] == OP_CHAIN) floats = (index)code[chain_field::registers] * code[chain_field::block] * LANES;
    if (code[0] == OP_PRODUCT_TN) floats = code[product_tn_field::scratchFloats];
    if (floats > scratch) scratch = floats;
  }

  template <class F>
  void each(int repeat, int integers, F f) const {
    for (i32 i = 0; i < code[repeat]; i++) f(code + repeat + 1 + i * integers);
  }

  void touch(const i32* part, int field, const Window& window, Manner manner, i64 pitch, bool writes) {
    if (window.empty) return;
    const i32 slot = part[field];
    const i32* slotRow = encoded + HEADER + 2 * slot;
    Touch t = {slotRow[0], manner, writes, 0, 0, 0, 0, pitch, true, loops.size <= 1};
    i64 low = (i64)slotRow[1] + part[field + 1], high = low;
    t.at = low + window.low;
    t.width = window.high - window.low;
    const i64 across = manner == ROW ? (units - 1) * pitch : 0;
    for (const i32* loop : loops) {
      const i32* move = loop + loop_field::moves + 1;
      for (i32 n = loop[loop_field::moves]; n > 0; n--, move += loop_field::moves_integers) {
        if (move[loop_field::moves_slot] != slot) continue;
        const i64 stride = move[loop_field::moves_stride], far = (loop[loop_field::count] - 1) * stride;
        if (far < 0) low += far;
        else high += far;
        if (manner == ROW && pitch > 0 && units > 0 && stride % (units * pitch)) t.even = false;
        if (stride && (stride < 0 ? -stride : stride) < (across < 0 ? -across : across) + t.width) t.apart = false;
      }
    }
    t.low = low + window.low + (across < 0 ? across : 0);
    t.high = high + window.high + (across > 0 ? across : 0);
    touches.push(t);
  }

  bool independent() const {
    for (const Touch& a : touches)
      for (const Touch* b = &a; b != touches.end(); b++)
        if (!compatible(a, *b, &a == b)) return false;
    return true;
  }

  /** Whether no thread touches an element that another one writes. */
  bool compatible(const Touch& a, const Touch& b, bool same) const {
    if (!a.writes && !b.writes) return true;
    if (a.segment != b.segment || a.high <= b.low || b.high <= a.low) return true;
    if (a.manner == FIRST_THREAD && b.manner == FIRST_THREAD) return true;
    if (same && a.manner == OWN) return true;
    // Rows that do not meet, neither on one pass nor on two.
    if (same && a.manner == ROW && a.apart && a.width <= (a.pitch < 0 ? -a.pitch : a.pitch)) return true;
    if (a.manner != ROW || b.manner != ROW || a.pitch != b.pitch || a.pitch <= 0 || !a.even || !b.even) return false;
    // On every pass, row r of both stands in row r of one grid of rows, as long as the two fit one row of it together.
    const i64 ring = units * a.pitch;
    const i64 apart = ((b.at - a.at) % ring + ring) % ring;
    const auto fits = [&](i64 distance) {
      const i64 low = distance < 0 ? distance : 0, high = a.width > distance + b.width ? a.width : distance + b.width;
      return high - low <= a.pitch;
    };
    return fits(apart) || fits(apart - ring);
  }
};

}  // namespace

// An instruction has fewer references than integers.
index shareWorkspace(const i32* encoded) { return (index)encoded[header_code] * (index)sizeof(Touch); }

index findShares(const i32* encoded, Share* shares, void* workspace) { return Finder(encoded, shares, workspace).find(); }

bool worthThreads(const Share* shares, i32 count, i32 smallest) {
  for (i32 i = 0; i < count; i++)
    if (shares[i].units && shares[i].cost >= smallest) return true;
  return false;
}

}  // namespace unrolled
