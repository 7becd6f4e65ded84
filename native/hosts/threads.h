// The threads of the addon: one crew for the process, made when it is first asked for, which serves one run at a time.
#pragma once

namespace unrolled {
enum { MOST_THREADS = 256 };

/**
 * Calls work(data, 0..threads-1), each on a thread of its own, the first on the calling one, and waits for all.
 * False, and nothing is called, where another run has the crew or the system gives no more threads.
 */
bool shareOut(int threads, void (*work)(void* data, int thread), void* data);

/** Where the threads of a crew meet. */
class MeetingPoint {
 public:
  explicit MeetingPoint(int threads);
  ~MeetingPoint();
  /** Waits for all threads; true, for all, where one of them came with `stop`. */
  bool meet(bool stop);

 private:
  struct State;
  State* state;
};

/** Ends the threads that wait for work; the next shareOut makes new ones. */
void dismissThreads();
}  // namespace unrolled
