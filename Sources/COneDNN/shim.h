#ifndef KNEDIT_CONEDNN_SHIM_H
#define KNEDIT_CONEDNN_SHIM_H

#include <oneapi/dnnl/dnnl.h>

/* From GNU's OpenMP runtime, on which Debian's oneDNN is built: threads that calls from this thread may use. */
void omp_set_num_threads(int count);
int omp_get_max_threads(void);
int omp_get_num_procs(void);

#endif
