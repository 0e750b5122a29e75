"""MP4 (ISO/IEC 14496-12): the boxes that the recorder writes and reads."""
