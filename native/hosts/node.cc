// The machine as a Node addon, on plain Node-API, so that one binary serves all versions of Node. src/vm/node.ts is its only caller.
#define NAPI_VERSION 8
#include <node_api.h>
#ifdef __linux__
#include <sys/mman.h>
#include <unistd.h>
#endif
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>
#include <vector>

#include "dispatch.h"
#include "hosts/threads.h"
#include "limits.h"
#include "machine.h"
#include "share.h"

using namespace unrolled;

namespace {

constexpr i32 STATUS_NO_MEMORY = 2;
constexpr size_t RUN_ARGUMENTS = 8;

constexpr size_t HUGE_PAGE = 2 << 20;

void adviseLargePages(char* first, char* end) {
#ifdef MADV_HUGEPAGE
  if (first < end) madvise(first, end - first, MADV_HUGEPAGE);
#endif
}

/** Large memory in large pages, where the system gives them: fewer faults when it is first written, and fewer misses when it is read. */
void* allocateAligned(size_t bytes) {
  void* p = nullptr;
  const bool isLarge = bytes >= 2 * HUGE_PAGE;
  if (posix_memalign(&p, isLarge ? HUGE_PAGE : 64, bytes ? bytes : 1)) return nullptr;
  if (isLarge) adviseLargePages((char*)p, (char*)p + bytes);
  return p;
}

/** Gives the pages that lie within memory back to the system; they are zero when they are next read. An allocator keeps what is freed. */
void giveBack(void* memory, size_t bytes) {
#ifdef __linux__
  static const uintptr_t page = sysconf(_SC_PAGESIZE);
  const uintptr_t first = ((uintptr_t)memory + page - 1) / page * page, end = ((uintptr_t)memory + bytes) / page * page;
  if (first < end) madvise((void*)first, end - first, MADV_DONTNEED);
#endif
}

void freeAligned(void* memory, size_t bytes) {
  giveBack(memory, bytes);
  std::free(memory);
}

/** Arenas are kept for the next run: as many as runs went on at once, each as large as the largest that it served. */
class ArenaPool {
 public:
  struct Arena {
    void* memory;
    size_t bytes;
  };

  bool take(size_t bytes, Arena& arena) {
    {
      std::lock_guard<std::mutex> lock(mutex);
      size_t best = free.size();
      for (size_t i = 0; i < free.size(); i++)
        if (free[i].bytes >= bytes && (best == free.size() || free[i].bytes < free[best].bytes)) best = i;
      if (best < free.size()) {
        arena = free[best];
        free.erase(free.begin() + best);
        return true;
      }
      if (!free.empty()) {
        freeAligned(free.back().memory, free.back().bytes);
        free.pop_back();
      }
    }
    arena = {allocateAligned(bytes), bytes};
    return arena.memory;
  }

  void give(Arena arena) {
    std::lock_guard<std::mutex> lock(mutex);
    free.push_back(arena);
  }

 private:
  std::mutex mutex;
  std::vector<Arena> free;
};

ArenaPool& pool() {
  static ArenaPool* one = new ArenaPool;  // lives as long as the process: runs may end late
  return *one;
}

/** An encoded program in memory of its own, with room to read beyond its constants. */
struct Program {
  std::atomic<int> owners{1};
  i32* encoded;
  /** What threads may share out: found when the first run asks for threads. */
  std::once_flag sharesFound;
  std::vector<Share> shares;
  unrolled::index scratch = 0;

  void findShares() {
    std::call_once(sharesFound, [this] {
      shares.resize(encoded[header_code]);
      std::vector<i64> workspace(shareWorkspace(encoded) / sizeof(i64) + 1);
      scratch = unrolled::findShares(encoded, shares.data(), workspace.data());
    });
  }
  bool worthThreads(i32 smallest) const { return unrolled::worthThreads(shares.data(), (i32)shares.size(), smallest); }
  size_t arenaBytes() const { return ((size_t)encoded[header_arena] + SLACK) * 4; }
  size_t slotBytes() const { return (size_t)encoded[header_slots] * sizeof(float*); }
  void release() {
    if (--owners == 0) {
      std::free(encoded);
      delete this;
    }
  }
};

struct Job {
  const InstructionSet* set;
  Program* program;
  Run run;
  i32 threads = 1;
  i32 smallest = 0;
  napi_async_work work = nullptr;
  napi_deferred deferred = nullptr;
  napi_ref memories[2] = {};

  void execute() {
    ArenaPool::Arena arena;
    const size_t floats = (program->arenaBytes() + 63) / 64 * 64, slots = (program->slotBytes() + 63) / 64 * 64;
    if (threads > 1) {
      program->findShares();
      if (!program->worthThreads(smallest)) threads = 1;
    }
    const size_t own = slots + (threads > 1 ? ((size_t)program->scratch * 4 + 63) / 64 * 64 : 0);
    if (!pool().take(floats + threads * own, arena)) {
      run.status = STATUS_NO_MEMORY;
      return;
    }
    run.encoded = program->encoded;
    run.arena = (float*)arena.memory;
    run.slots = (float**)((char*)arena.memory + floats);
    if (threads == 1 || !runOnThreads(floats, slots, own)) set->run(run);
    pool().give(arena);
  }

 private:
  /** The slots and the scratch of a thread stand behind each other, and the threads behind the arena. False where no crew is free. */
  bool runOnThreads(size_t floats, size_t slots, size_t own) {
    struct Meeting : Crew {
      MeetingPoint point;
      const InstructionSet* set;
      std::vector<Run> runs;
      Meeting(const Crew& crew, const InstructionSet* set) : Crew(crew), point(crew.count), set(set), runs(crew.count) {}
    };
    const auto meet = [](Crew& crew, bool stop) { return static_cast<Meeting&>(crew).point.meet(stop); };
    Meeting meeting({program->shares.data(), threads, smallest, meet}, set);
    for (i32 thread = 0; thread < threads; thread++) {
      char* memory = (char*)run.arena + floats + thread * own;
      Run& part = meeting.runs[thread] = run;
      part.crew = &meeting;
      part.thread = thread;
      part.slots = (float**)memory;
      part.scratch = (float*)(memory + slots);
    }
    const auto work = [](void* data, int thread) {
      Meeting& meeting = *(Meeting*)data;
      meeting.set->run(meeting.runs[thread]);
    };
    if (!shareOut(threads, work, &meeting)) return false;
    run = meeting.runs[0];
    return true;
  }
};

#define CHECK(call)                                                     \
  do {                                                                  \
    if ((call) != napi_ok) {                                            \
      bool pending = false;                                             \
      napi_is_exception_pending(env, &pending);                         \
      if (!pending) napi_throw_error(env, nullptr, "unrolled: " #call); \
      return nullptr;                                                   \
    }                                                                   \
  } while (0)

napi_value integer(napi_env env, int64_t x) {
  napi_value value = nullptr;
  napi_create_int64(env, x, &value);
  return value;
}

/** sets(): the names and vector widths that this processor runs, the fastest first: [[name, vector], ...] */
napi_value sets(napi_env env, napi_callback_info) {
  const InstructionSet* all[4];
  const int count = availableSets(all);
  napi_value list;
  CHECK(napi_create_array_with_length(env, count, &list));
  for (int i = 0; i < count; i++) {
    napi_value pair, name;
    CHECK(napi_create_array_with_length(env, 2, &pair));
    CHECK(napi_create_string_utf8(env, all[i]->name, NAPI_AUTO_LENGTH, &name));
    CHECK(napi_set_element(env, pair, 0, name));
    CHECK(napi_set_element(env, pair, 1, integer(env, all[i]->vector)));
    CHECK(napi_set_element(env, list, i, pair));
  }
  return list;
}

void freeMemory(napi_env env, void* memory, void* bytes) {
  freeAligned(memory, (size_t)bytes);
  int64_t adjusted;
  napi_adjust_external_memory(env, -(int64_t)(intptr_t)bytes, &adjusted);
}

/** allocate(bytes): a zeroed ArrayBuffer that begins at a multiple of 64, or null where there is no memory. */
napi_value allocate(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value argument, buffer;
  int64_t bytes;
  CHECK(napi_get_cb_info(env, info, &count, &argument, nullptr, nullptr));
  CHECK(napi_get_value_int64(env, argument, &bytes));
  void* memory = allocateAligned(bytes);
  if (!memory) {
    CHECK(napi_get_null(env, &buffer));
    return buffer;
  }
  std::memset(memory, 0, bytes);
  if (napi_create_external_arraybuffer(env, memory, bytes, freeMemory, (void*)(intptr_t)bytes, &buffer) != napi_ok) {
    std::free(memory);
    napi_throw_error(env, nullptr, "unrolled: this runtime does not allow memory outside its heap");
    return nullptr;
  }
  int64_t adjusted;
  CHECK(napi_adjust_external_memory(env, bytes, &adjusted));
  return buffer;
}

/** largePages(array): asks for large pages for memory that has not been written to yet. */
napi_value largePages(napi_env env, napi_callback_info info) {
  size_t count = 1, length;
  napi_value argument;
  napi_typedarray_type type;
  void* data;
  CHECK(napi_get_cb_info(env, info, &count, &argument, nullptr, nullptr));
  CHECK(napi_get_typedarray_info(env, argument, &type, &length, &data, nullptr, nullptr));
  const uintptr_t first = (uintptr_t)data, end = first + length * 4;
  if (type == napi_float32_array)
    adviseLargePages((char*)((first + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE), (char*)(end / HUGE_PAGE * HUGE_PAGE));
  return nullptr;
}

/** discard(array): what the array holds is lost, and its memory goes back to the system now, not when the array is collected. */
napi_value discard(napi_env env, napi_callback_info info) {
  size_t count = 1, length;
  napi_value argument;
  napi_typedarray_type type;
  void* data;
  CHECK(napi_get_cb_info(env, info, &count, &argument, nullptr, nullptr));
  CHECK(napi_get_typedarray_info(env, argument, &type, &length, &data, nullptr, nullptr));
  if (type == napi_float32_array) giveBack(data, length * 4);
  return nullptr;
}

void freeProgram(napi_env, void* program, void*) { ((Program*)program)->release(); }

/** load(encoded: Int32Array): a handle, or [reason, position] where the program is refused. */
napi_value load(napi_env env, napi_callback_info info) {
  size_t count = 1, length;
  napi_value argument, result;
  napi_typedarray_type type;
  void* data;
  CHECK(napi_get_cb_info(env, info, &count, &argument, nullptr, nullptr));
  CHECK(napi_get_typedarray_info(env, argument, &type, &length, &data, nullptr, nullptr));
  Fault fault;
  if (type != napi_int32_array || !verify((const i32*)data, (i64)length, fault)) {
    if (type != napi_int32_array) fault = {"it is no Int32Array", 0};
    napi_value reason;
    CHECK(napi_create_array_with_length(env, 2, &result));
    CHECK(napi_create_string_utf8(env, fault.reason, NAPI_AUTO_LENGTH, &reason));
    CHECK(napi_set_element(env, result, 0, reason));
    CHECK(napi_set_element(env, result, 1, integer(env, fault.position)));
    return result;
  }
  Program* program = new Program;
  program->encoded = (i32*)allocateAligned((length + SLACK) * 4);
  if (!program->encoded) {
    delete program;
    napi_throw_error(env, nullptr, "unrolled: no memory for a program");
    return nullptr;
  }
  std::memcpy(program->encoded, data, length * 4);
  std::memset(program->encoded + length, 0, SLACK * 4);
  CHECK(napi_create_external(env, program, freeProgram, nullptr, &result));
  return result;
}

#include "hosts/node-arrays.inl.h"

/** Reads (set, program, state, io, ioStride, steps, threads, smallest); lengths and counts were checked by the caller. */
bool readJob(napi_env env, napi_callback_info info, Job& job, napi_value* arguments) {
  size_t count = RUN_ARGUMENTS, length;
  napi_typedarray_type type;
  int64_t set, stride, steps, threads;
  void *program, *state, *io;
  const InstructionSet* all[4];
  const int available = availableSets(all);
  if (napi_get_cb_info(env, info, &count, arguments, nullptr, nullptr) != napi_ok || count < RUN_ARGUMENTS ||
      napi_get_value_int64(env, arguments[0], &set) != napi_ok || set < 0 || set >= available ||
      napi_get_value_external(env, arguments[1], &program) != napi_ok ||
      napi_get_typedarray_info(env, arguments[2], &type, &length, &state, nullptr, nullptr) != napi_ok ||
      napi_get_typedarray_info(env, arguments[3], &type, &length, &io, nullptr, nullptr) != napi_ok ||
      napi_get_value_int64(env, arguments[4], &stride) != napi_ok || napi_get_value_int64(env, arguments[5], &steps) != napi_ok ||
      napi_get_value_int64(env, arguments[6], &threads) != napi_ok || napi_get_value_int32(env, arguments[7], &job.smallest) != napi_ok) {
    napi_throw_error(env, nullptr, "unrolled: wrong arguments of a run");
    return false;
  }
  job.set = all[set];
  job.program = (Program*)program;
  job.run = {};
  job.run.state = (float*)state;
  job.run.io = (float*)io;
  job.run.ioStride = stride;
  job.run.steps = steps;
  job.threads = threads < 1 ? 1 : threads > MOST_THREADS ? (i32)MOST_THREADS : (i32)threads;
  return true;
}

/** [status, detail, position, step] */
napi_value outcome(napi_env env, const Run& run) {
  napi_value list;
  CHECK(napi_create_array_with_length(env, 4, &list));
  const i32 values[4] = {run.status, run.detail, run.position, run.step};
  for (int i = 0; i < 4; i++) CHECK(napi_set_element(env, list, i, integer(env, values[i])));
  return list;
}

/** runSync(...): undefined where all went well, else the outcome. */
napi_value runSync(napi_env env, napi_callback_info info) {
  Job job;
  napi_value arguments[RUN_ARGUMENTS];
  if (!readJob(env, info, job, arguments)) return nullptr;
  job.execute();
  return job.run.status == STATUS_OK ? nullptr : outcome(env, job.run);
}

void finish(napi_env env, napi_status, void* data) {
  Job* job = (Job*)data;
  napi_resolve_deferred(env, job->deferred, outcome(env, job->run));
  for (napi_ref memory : job->memories) napi_delete_reference(env, memory);
  napi_delete_async_work(env, job->work);
  job->program->release();
  delete job;
}

/** run(...): the same on a thread of the pool; a promise of the outcome. */
napi_value run(napi_env env, napi_callback_info info) {
  Job* job = new Job;
  napi_value arguments[RUN_ARGUMENTS], promise, name;
  if (!readJob(env, info, *job, arguments)) {
    delete job;
    return nullptr;
  }
  CHECK(napi_create_string_utf8(env, "unrolled.run", NAPI_AUTO_LENGTH, &name));
  CHECK(napi_create_promise(env, &job->deferred, &promise));
  CHECK(napi_create_reference(env, arguments[2], 1, &job->memories[0]));
  CHECK(napi_create_reference(env, arguments[3], 1, &job->memories[1]));
  CHECK(napi_create_async_work(env, nullptr, name, [](napi_env, void* data) { ((Job*)data)->execute(); }, finish, job, &job->work));
  job->program->owners++;
  CHECK(napi_queue_async_work(env, job->work));
  return promise;
}

/** A program with its memories, run again and again without any look-up. */
struct Bound {
  const InstructionSet* set;
  Program* program;
  Run run;
  void* arena;
  napi_ref memories[2];
};

void freeBound(napi_env env, void* data, void*) {
  Bound* bound = (Bound*)data;
  for (napi_ref memory : bound->memories) napi_delete_reference(env, memory);
  bound->program->release();
  std::free(bound->arena);
  delete bound;
}

/** One step. Undefined where all went well, else the outcome. */
napi_value runBound(napi_env env, napi_callback_info info) {
  void* data;
  if (napi_get_cb_info(env, info, nullptr, nullptr, nullptr, &data) != napi_ok) return nullptr;
  Bound* bound = (Bound*)data;
  bound->set->run(bound->run);
  return bound->run.status == STATUS_OK ? nullptr : outcome(env, bound->run);
}

/** bind(set, program, state, io): a function without arguments that runs one step, or null where there is no memory. */
napi_value bind(napi_env env, napi_callback_info info) {
  size_t count = 4, length;
  napi_value arguments[4], function;
  napi_typedarray_type type;
  int64_t set;
  void *program, *state, *io;
  const InstructionSet* all[4];
  const int available = availableSets(all);
  CHECK(napi_get_cb_info(env, info, &count, arguments, nullptr, nullptr));
  CHECK(napi_get_value_int64(env, arguments[0], &set));
  CHECK(napi_get_value_external(env, arguments[1], &program));
  CHECK(napi_get_typedarray_info(env, arguments[2], &type, &length, &state, nullptr, nullptr));
  CHECK(napi_get_typedarray_info(env, arguments[3], &type, &length, &io, nullptr, nullptr));
  if (set < 0 || set >= available) {
    napi_throw_error(env, nullptr, "unrolled: wrong arguments of bind");
    return nullptr;
  }
  Program* own = (Program*)program;
  const size_t floats = (own->arenaBytes() + 63) / 64 * 64;
  void* arena = allocateAligned(floats + own->slotBytes());
  if (!arena) {
    CHECK(napi_get_null(env, &function));
    return function;
  }
  // Made once: memory that was never written to would be faulted in by the first step.
  std::memset(arena, 0, floats + own->slotBytes());
  Bound* bound = new Bound{all[set], own, {}, arena, {}};
  bound->run.encoded = own->encoded;
  bound->run.arena = (float*)arena;
  bound->run.slots = (float**)((char*)arena + floats);
  bound->run.state = (float*)state;
  bound->run.io = (float*)io;
  bound->run.steps = 1;
  own->owners++;
  CHECK(napi_create_reference(env, arguments[2], 1, &bound->memories[0]));
  CHECK(napi_create_reference(env, arguments[3], 1, &bound->memories[1]));
  CHECK(napi_create_function(env, "step", NAPI_AUTO_LENGTH, runBound, bound, &function));
  CHECK(napi_add_finalizer(env, function, bound, freeBound, nullptr, nullptr));
  return function;
}

}  // namespace

/** Environments (the main thread, workers) that have loaded the addon; its code may go away with the last one. */
std::atomic<int> environments{0};

void leave(void*) {
  if (--environments == 0) dismissThreads();
}

NAPI_MODULE_INIT() {
  environments++;
  CHECK(napi_add_env_cleanup_hook(env, leave, nullptr));
  const struct {
    const char* name;
    napi_callback call;
  } functions[] = {{"sets", sets}, {"allocate", allocate}, {"largePages", largePages}, {"discard", discard}, {"copy", copy}, {"isFinite", isFinite},
                   {"load", load}, {"runSync", runSync},   {"run", run},               {"bind", bind}};
  for (const auto& f : functions) {
    napi_value value;
    CHECK(napi_create_function(env, f.name, NAPI_AUTO_LENGTH, f.call, nullptr, &value));
    CHECK(napi_set_named_property(env, exports, f.name, value));
  }
  return exports;
}
