/* The structs that Python and C share, and what C does with them.

   Read by the compiler and, as it stands, by cffi (tools/declared.py): no lines for the preprocessor. Sizes and offsets
   are compared when the library is loaded (mk_facts). Python owns all memory, and C keeps no pointer to it from one call
   to the next but those in mk_inbox and mk_stream. */

typedef enum {
  MK_PICTURES = 64,         /* that wait in an inbox, at most */
  MK_PAYLOAD_BYTES = 262144 /* of them, together */
} mk_limit;

/* Pictures of one codec and epoch that follow each other, by column. None is a keyframe or begins a run. */
typedef struct {
  uint8_t *payloads; /* one behind the other */
  uint32_t payloads_room, payloads_bytes, count;
  uint32_t epoch;
  uint64_t first; /* sequence of the first picture */
  int64_t pts_90k[64], dts_90k[64], capture_us[64];
  uint32_t sizes[64], uncertainty_us[64];
  uint8_t flags[64], clocks[64];
  uint8_t codec;
} mk_inbox;

/* What a connection has received and not handed on. */
typedef struct {
  const uint8_t *buffer;
  uint32_t begin, end;
  mk_inbox **inboxes; /* by subscription id; null where there is none */
  uint32_t inboxes_count;
} mk_stream;

/* Fills in sizes and offsets, in the order of this file; returns how many there are. */
int mk_facts(uint32_t *facts, int room);

/* Takes an access-unit message into the inbox; 0 where it is none that may stand there, or where there is no room. */
int mk_put(mk_inbox *inbox, const uint8_t *message, uint32_t bytes);

/* Takes whole messages from the stream's begin on, as far as each goes into its inbox; returns how many. */
int mk_split(mk_stream *stream);
