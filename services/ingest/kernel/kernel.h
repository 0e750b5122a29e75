/* The structs that Python and C share, and what C does with them.

   Read by the compiler and, as it stands, by cffi: no lines for the preprocessor. Sizes and offsets are compared when
   the library is loaded (pi_facts). Python owns all memory, and C keeps no pointer to it but those in pi_engine. */

typedef enum {
  PI_MESSAGE_BYTES = 524288, /* of a picture's message, at most */
  PI_PARTS = 512,            /* packets of a picture, at most */
  PI_UNITS = 32,             /* NAL units of a picture, at most */
  PI_LIES = 512,             /* of wall.WallBound, at most; a power of two */
  PI_FRAMES = 25,            /* wall.WINDOW_FRAMES */
  PI_PLACED = 17,            /* capture.REORDERED + 1 */
  PI_WAITING = 18,           /* retiming.MAX_REORDER + 2 */
  PI_BUCKETS = 8,            /* of SourceClock, that a loan may fill */
  PI_SUBJECT_BYTES = 256,
  PI_SETS_BYTES = 1024,      /* of the parameter sets in front of a keyframe, at most */
  PI_WAIT_BYTES = 245760,    /* of a picture that is not whole yet, at most */
  PI_LEAST_ROOM_BYTES = 65536,
  PI_TURN_READS = 64,        /* connections that are read at once */
  PI_LINES = 512             /* of messages that NATS has not taken yet */
} pi_limit;

typedef enum {
  PI_WAIT, /* nothing is left, or the beginning of a picture */
  PI_LOOK, /* what is left is Python's: nothing of it was taken */
  PI_FULL, /* no room for the next picture: Python fetches what was taken */
  PI_ENDED /* the connection is over, as the next read of it says again */
} pi_status;

/* A picture that was taken: where its message stands in the connection's store. */
typedef struct {
  int64_t arrival_us, dts_90k;
  uint32_t at, bytes, payload_bytes, keyframe;
} pi_picture;

/* A message for NATS: its PUB line, the message and the line's end, in a store. */
typedef struct {
  uint8_t *at;
  uint32_t bytes, message_bytes;
} pi_line;

typedef struct {
  int64_t arrival, lie;
} pi_lie;

typedef struct {
  int64_t pts, at_us;
} pi_placed;

typedef struct {
  int64_t at, delay, lag;
  uint8_t has_lag;
} pi_bucket;

/* One RTSP connection, and one video track on it. */
typedef struct {
  /* the connection */
  uint8_t *buffer;
  uint32_t size, begin, end;
  int32_t fd;
  uint32_t number;
  int64_t heard_us, before_us; /* when the last bytes came, and those in front of before_end */
  uint32_t before_end;
  /* what was taken since Python fetched it */
  uint8_t *store;
  pi_picture *pictures;
  uint32_t store_bytes, stored_bytes, pictures_room, pictures_count;
  uint8_t lent; /* the rest of this is true: Python has lent it */
  /* RtpReceiver and the depacketizer */
  uint8_t channel, payload_type, h265;
  uint16_t next_number;
  uint32_t ssrc, stamp;
  uint32_t taken_packets, taken, keyframes; /* since it was lent; keyframes: of those taken */
  int64_t taken_us; /* when the last of them had come */
  /* RtpTime */
  uint8_t has_report;
  int64_t rtp_last, report_at, report_us;
  /* SourceClock: its last bucket, and those that were full before it */
  pi_bucket bucket, full[8]; /* since it was lent */
  uint32_t full_count;
  /* Retimer */
  int64_t top, top_out, interval, key_interval, arrival_90k, last_dts; /* key_interval: what keyframes say, or 0 */
  int64_t waiting[18];
  uint32_t waiting_count, reorder;
  /* WallBound */
  int64_t window, slack, begun_at, base, skew;
  uint32_t lies_first, lies_count, frames_first, frames_count;
  pi_lie lies[512];
  int64_t frames[25];
  /* CaptureClock */
  uint8_t has_least_now, has_least_before;
  double line_us;
  int64_t line_at_us, latency_us, longest_delay_us, least_window, least_count, least_now, least_before, top_pts,
      top_at_us;
  uint32_t placed_first, placed_count;
  pi_placed placed[17];
  /* the message */
  uint64_t sequence;
  uint32_t epoch, key_epoch; /* key_epoch: from the next keyframe on */
  uint32_t subject_bytes, sets_bytes;
  uint8_t subject[256];
  uint8_t sets[1024]; /* the parameter sets in force behind their lengths; none: keyframes are Python's */
} pi_connection;

/* What a worker reads with. */
typedef struct {
  int32_t epoll;
  int32_t loop;          /* the event loop's epoll, in which `epoll` stands; -1: no turn goes on */
  int32_t bus;           /* the socket to NATS, where lines may be written to it in this turn; else -1 */
  int64_t held_until_us; /* until when anything may be published, by CLOCK_MONOTONIC */
  int64_t stay_us;       /* a turn goes on for so long, while nobody but cameras has something for the process */
  int64_t rest_us;       /* after lines were written it sleeps so long, and what came meanwhile is read together */
  uint32_t max_message_bytes;
  uint64_t pictures; /* that it took, ever */
  /* of the last call */
  uint32_t sent, lines_count; /* messages that NATS took whole; those that it did not */
  uint32_t begun_bytes;       /* of the first of these it took so much */
  uint64_t sent_bytes;        /* of the messages that it took whole */
  uint32_t dropped;           /* messages that were made too late to be published */
  pi_line lines[512];
  uint32_t looks, ended;
  uint8_t urgent, others; /* a look that cannot wait; others: the event loop has something else to do */
  uint32_t look[64], end[64]; /* numbers of connections */
} pi_engine;

/* Fills in sizes, offsets and limits, in the order of this file; returns how many there are. */
int pi_facts(uint32_t *facts, int room);

/* Adds a connection's socket to the engine's epoll, or takes it out; 0, or an error number. */
int pi_watch(pi_engine *engine, pi_connection *connection);
int pi_unwatch(pi_engine *engine, pi_connection *connection);

/* Takes the pictures that lie whole in the buffer; they came at arrival_us, which was wall_us in Unix time. */
int pi_take(pi_engine *engine, pi_connection *connection, int64_t arrival_us, int64_t wall_us);

/* So many bytes were written behind the connection's end. */
void pi_heard(pi_connection *connection, uint32_t bytes, int64_t arrival_us);

/* Reads each connection that has something, once, takes its pictures and writes them to NATS, and goes on so until
   Python is needed or the turn's time is over; returns how many reads there were. */
int pi_turn(pi_engine *engine);
