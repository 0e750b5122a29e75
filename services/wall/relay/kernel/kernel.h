/* The structs that Python and C share, and what C does with them.

   Read by the compiler and, as it stands, by cffi: no lines for the preprocessor. Sizes and offsets are compared when
   the library is loaded (pk_facts). Python owns all memory. */

typedef enum {
  PK_PAYLOAD_BYTES = 1192, /* of one packet, at most */
  PK_PACKETS_AT = 128,     /* in front of each run's packets: their lengths, as C integers */
  PK_RUN_PACKETS = 24,
  PK_RUN_BYTES = 31200,
  PK_PACKET_COST_BYTES = 1024,
  PK_UNIT_BYTES = 67108864, /* of an access unit, at most */
  PK_BATCH_RUNS = 16,       /* so many leave in one system call */
  PK_CALL_STREAMS = 64,     /* so many are sent to in one pk_send */
  PK_KEEP_SECONDS = 2,      /* history younger than this is not overwritten */
  PK_PAST_RUNS = 4096,      /* but for a history of this size */
  PK_JUMP_BITS = 40,        /* a source's clock that jumps further begins anew */
  PK_TIME_BITS = 60,        /* no source counts further */
  PK_WORK_BYTES = 1048576,  /* for the packets of a frame that is sent and not kept */
  PK_FRAME_BYTES = 1024     /* about what a frame takes beside its payload */
} pk_limit;

typedef enum {
  PK_SENT, /* whole */
  PK_LOOK, /* whole, and look_at has come */
  PK_SLOW, /* nothing was changed or sent: Python decides */
  PK_DEAD  /* libsrtp refused a packet: the peer is sent nothing more */
} pk_status;

typedef enum {
  PK_NOT_TAKEN, /* nothing was changed or sent: it is Python's */
  PK_TAKEN,     /* sent to all */
  PK_TAKEN_LOOK /* the same, but to those that each call's `left` tells, whose status says more */
} pk_taking;

typedef struct {
  uint32_t at, bytes, cost; /* where its packets begin in the image */
  uint16_t count, stride;
  uint16_t plain, last; /* bytes of a packet before protection, and of the last one */
} pk_run;

/* An access unit's packets in one shape. Behind it in memory stand its runs, and their image. */
typedef struct {
  uint8_t *image;
  pk_run *run;
  uint32_t image_bytes, serial, runs, cost;
  uint8_t room, tag; /* around each payload: header with extension, authentication tag */
} pk_frame;

/* A viewer: its keys, its address, the bucket of its pacer. */
typedef struct {
  void *srtp; /* libsrtp's outbound context; null: nothing is sent */
  double tokens, at, rate_bytes, burst_bytes;
  uint64_t sent_bytes;
  uint32_t waiting; /* frames in the pacer's lanes */
  uint32_t to_bytes;
  uint8_t to[28]; /* struct sockaddr_in or sockaddr_in6 */
} pk_peer;

/* A run that was sent. */
typedef struct {
  uint64_t first;
  double at;
  uint32_t stamp, serial, sent24;
  uint16_t run;
  uint8_t count, payload_type, keyframe;
} pk_past;

/* One SSRC of a viewer. */
typedef struct {
  pk_peer *peer;
  pk_past *past; /* a ring */
  uint64_t past_count;
  uint64_t sequence, packets, octets, frames;
  int64_t offset, decode, last; /* of its timeline */
  double last_at, sent_at, look_at;
  uint32_t past_mask, ssrc;
  uint8_t has_offset, started, status;
  uint8_t payload_type; /* of what was sent last; 0: nothing was */
  uint8_t abs_at[2], ext_bytes[2], ext[2][16]; /* of other frames, of keyframes; abs_at 0: no time of sending */
} pk_stream;

/* A socket, and the runs that wait to leave it. */
typedef struct {
  int (*protect)(void *, void *, int *);
  void *batch; /* pk_batch_bytes() of memory */
  int fd;
  uint32_t offload, waiting;
  uint32_t full, failed; /* sends that were given up; they only grow */
} pk_out;

/* Viewers of a feed that one pk_send serves: they share a socket and the shape of their packets. */
typedef struct {
  pk_out *out;
  pk_stream **streams;
  uint32_t n, others; /* others: of the last frame, how many were not simply sent; left: their places */
  uint8_t room, tag;
  uint16_t left[64];
} pk_call;

/* A feed all of whose viewers C sends to, and what its next frame has to follow. */
typedef struct {
  pk_call *calls;
  uint64_t *work;    /* PK_WORK_BYTES */
  uint32_t *serials; /* of the frames that were taken, by all feeds */
  uint32_t calls_count;
  uint8_t lent; /* the rest is true */
  uint8_t codec, h265;
  uint32_t epoch;
  uint64_t sequence;   /* of the frame before */
  uint64_t room_bytes; /* for so much more the GOP is kept */
} pk_feed;

/* Fills in sizes, offsets and limits, in the order of this file; returns how many there are. */
int pk_facts(uint32_t *facts, int room);

uint32_t pk_batch_bytes(void);

/* The memory that pk_lay_out will need; -1 where a NAL unit's length leads outside. */
int64_t pk_measure(int h265, const uint8_t *unit, uint32_t bytes, uint32_t room, uint32_t tag);

/* Makes a frame in memory that is all zeros. */
void pk_lay_out(int h265, const uint8_t *unit, uint32_t bytes, uint32_t room, uint32_t tag, uint32_t serial,
                pk_frame *frame);

/* Sends a live frame to n streams at once; returns how many were not simply sent, and in left their places. */
int pk_send(pk_out *out, const pk_frame *frame, pk_stream **streams, int n, double now, int64_t dts, int64_t shift,
            uint32_t sent24, int keyframe, uint16_t *left);

/* Takes a frame's message, as it comes from the bus, where it is usual: it follows the one before, begins nothing, and
   nothing of it is damaged. Returns a pk_taking. */
int pk_take(pk_feed *feed, const uint8_t *message, uint32_t bytes, double now);

/* Numbers, protects and queues one run; pk_flush sends it. */
int pk_put(pk_out *out, const pk_frame *frame, int run, pk_stream *stream, double now, uint32_t stamp, uint32_t sent24,
           int keyframe);

void pk_flush(pk_out *out);
