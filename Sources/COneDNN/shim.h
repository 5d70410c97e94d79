#ifndef KNEDIT_CONEDNN_SHIM_H
#define KNEDIT_CONEDNN_SHIM_H

#include <oneapi/dnnl/dnnl.h>
#include <stdlib.h>

/* From GNU's OpenMP runtime, on which Debian's oneDNN is built: threads that calls from this thread may use. */
void omp_set_num_threads(int count);
int omp_get_max_threads(void);
int omp_get_num_procs(void);
int omp_get_num_threads(void);
int omp_get_thread_num(void);

/* What compilers make of a parallel region: `body` runs on so many threads, this one among them, until all have returned. */
void GOMP_parallel(void (*body)(void *), void *data, unsigned threads, unsigned flags);

/*
 * oneDNN 3, as in Debian 13 and Ubuntu 24.04, describes operations otherwise than oneDNN 2, as in Debian 12. What differs is
 * here, under one name for both. A layout is how values lie in memory, owned by who has it made; NULL where oneDNN refuses.
 */
typedef struct knedit_layout *knedit_layout_t;

#if DNNL_VERSION_MAJOR >= 3

static inline knedit_layout_t knedit_layout_strided(
    int rank, const dnnl_dim_t *extents, dnnl_data_type_t type, const dnnl_dim_t *strides) {
  dnnl_memory_desc_t made = NULL;
  return dnnl_memory_desc_create_with_strides(&made, rank, extents, type, strides) == dnnl_success
             ? (knedit_layout_t)made
             : NULL;
}

/* Whichever layout oneDNN likes best. */
static inline knedit_layout_t knedit_layout_any(int rank, const dnnl_dim_t *extents, dnnl_data_type_t type) {
  dnnl_memory_desc_t made = NULL;
  return dnnl_memory_desc_create_with_tag(&made, rank, extents, type, dnnl_format_tag_any) == dnnl_success
             ? (knedit_layout_t)made
             : NULL;
}

static inline void knedit_layout_release(knedit_layout_t layout) {
  if (layout) dnnl_memory_desc_destroy((dnnl_memory_desc_t)layout);
}

static inline size_t knedit_layout_size(knedit_layout_t layout) {
  return dnnl_memory_desc_get_size((const_dnnl_memory_desc_t)layout);
}

/* A layout that an operation asks for. */
static inline knedit_layout_t knedit_layout_of(const_dnnl_primitive_desc_t operation, dnnl_query_t what) {
  const_dnnl_memory_desc_t found = dnnl_primitive_desc_query_md(operation, what, 0);
  dnnl_memory_desc_t copy = NULL;
  return found && dnnl_memory_desc_clone(&copy, found) == dnnl_success ? (knedit_layout_t)copy : NULL;
}

static inline dnnl_status_t knedit_memory_create(
    dnnl_memory_t *memory, knedit_layout_t layout, dnnl_engine_t engine, void *values) {
  return dnnl_memory_create(memory, (const_dnnl_memory_desc_t)layout, engine, values);
}

static inline dnnl_status_t knedit_post_ops_append_sum(dnnl_post_ops_t operations) {
  return dnnl_post_ops_append_sum(operations, 1, 0, dnnl_data_type_undef);
}

static inline dnnl_status_t knedit_describe_product(
    dnnl_primitive_desc_t *operation, dnnl_engine_t engine, knedit_layout_t a, knedit_layout_t b, knedit_layout_t result,
    const_dnnl_primitive_attr_t attributes) {
  return dnnl_matmul_primitive_desc_create(
      operation, engine, (const_dnnl_memory_desc_t)a, (const_dnnl_memory_desc_t)b, NULL, (const_dnnl_memory_desc_t)result,
      attributes);
}

static inline dnnl_status_t knedit_describe_reorder(
    dnnl_primitive_desc_t *operation, dnnl_engine_t engine, knedit_layout_t from, knedit_layout_t to) {
  return dnnl_reorder_primitive_desc_create(
      operation, (const_dnnl_memory_desc_t)from, engine, (const_dnnl_memory_desc_t)to, engine, NULL);
}

static inline dnnl_status_t knedit_describe_gelu(
    dnnl_primitive_desc_t *operation, dnnl_engine_t engine, knedit_layout_t values) {
  const_dnnl_memory_desc_t layout = (const_dnnl_memory_desc_t)values;
  return dnnl_eltwise_forward_primitive_desc_create(
      operation, engine, dnnl_forward_training, dnnl_eltwise_gelu_erf, layout, layout, 0, 0, NULL);
}

static inline dnnl_status_t knedit_describe_gelu_backward(
    dnnl_primitive_desc_t *operation, dnnl_engine_t engine, knedit_layout_t values, const_dnnl_primitive_desc_t forward) {
  const_dnnl_memory_desc_t layout = (const_dnnl_memory_desc_t)values;
  return dnnl_eltwise_backward_primitive_desc_create(
      operation, engine, dnnl_eltwise_gelu_erf, layout, layout, layout, 0, 0, forward, NULL);
}

static inline dnnl_status_t knedit_describe_softmax(
    dnnl_primitive_desc_t *operation, dnnl_engine_t engine, knedit_layout_t row, int is_logarithm) {
  const_dnnl_memory_desc_t layout = (const_dnnl_memory_desc_t)row;
  return dnnl_softmax_forward_primitive_desc_create(
      operation, engine, dnnl_forward_inference, is_logarithm ? dnnl_softmax_log : dnnl_softmax_accurate, layout, layout,
      0, NULL);
}

#else

static inline knedit_layout_t knedit_layout_copy(const dnnl_memory_desc_t *layout) {
  dnnl_memory_desc_t *copy = (dnnl_memory_desc_t *)malloc(sizeof(dnnl_memory_desc_t));
  if (copy) *copy = *layout;
  return (knedit_layout_t)copy;
}

static inline knedit_layout_t knedit_layout_strided(
    int rank, const dnnl_dim_t *extents, dnnl_data_type_t type, const dnnl_dim_t *strides) {
  dnnl_memory_desc_t made;
  return dnnl_memory_desc_init_by_strides(&made, rank, extents, type, strides) == dnnl_success ? knedit_layout_copy(&made)
                                                                                              : NULL;
}

/* Whichever layout oneDNN likes best. */
static inline knedit_layout_t knedit_layout_any(int rank, const dnnl_dim_t *extents, dnnl_data_type_t type) {
  dnnl_memory_desc_t made;
  return dnnl_memory_desc_init_by_tag(&made, rank, extents, type, dnnl_format_tag_any) == dnnl_success
             ? knedit_layout_copy(&made)
             : NULL;
}

static inline void knedit_layout_release(knedit_layout_t layout) { free(layout); }

static inline size_t knedit_layout_size(knedit_layout_t layout) {
  return dnnl_memory_desc_get_size((const dnnl_memory_desc_t *)layout);
}

/* A layout that an operation asks for. */
static inline knedit_layout_t knedit_layout_of(const_dnnl_primitive_desc_t operation, dnnl_query_t what) {
  const dnnl_memory_desc_t *found = dnnl_primitive_desc_query_md(operation, what, 0);
  return found ? knedit_layout_copy(found) : NULL;
}

static inline dnnl_status_t knedit_memory_create(
    dnnl_memory_t *memory, knedit_layout_t layout, dnnl_engine_t engine, void *values) {
  return dnnl_memory_create(memory, (const dnnl_memory_desc_t *)layout, engine, values);
}

static inline dnnl_status_t knedit_post_ops_append_sum(dnnl_post_ops_t operations) {
  return dnnl_post_ops_append_sum(operations, 1);
}

static inline dnnl_status_t knedit_describe_product(
    dnnl_primitive_desc_t *operation, dnnl_engine_t engine, knedit_layout_t a, knedit_layout_t b, knedit_layout_t result,
    const_dnnl_primitive_attr_t attributes) {
  dnnl_matmul_desc_t product;
  dnnl_status_t status = dnnl_matmul_desc_init(
      &product, (const dnnl_memory_desc_t *)a, (const dnnl_memory_desc_t *)b, NULL, (const dnnl_memory_desc_t *)result);
  return status == dnnl_success ? dnnl_primitive_desc_create(operation, &product, attributes, engine, NULL) : status;
}

static inline dnnl_status_t knedit_describe_reorder(
    dnnl_primitive_desc_t *operation, dnnl_engine_t engine, knedit_layout_t from, knedit_layout_t to) {
  return dnnl_reorder_primitive_desc_create(
      operation, (const dnnl_memory_desc_t *)from, engine, (const dnnl_memory_desc_t *)to, engine, NULL);
}

static inline dnnl_status_t knedit_describe_gelu(
    dnnl_primitive_desc_t *operation, dnnl_engine_t engine, knedit_layout_t values) {
  dnnl_eltwise_desc_t gelu;
  dnnl_status_t status = dnnl_eltwise_forward_desc_init(
      &gelu, dnnl_forward_training, dnnl_eltwise_gelu_erf, (const dnnl_memory_desc_t *)values, 0, 0);
  return status == dnnl_success ? dnnl_primitive_desc_create(operation, &gelu, NULL, engine, NULL) : status;
}

static inline dnnl_status_t knedit_describe_gelu_backward(
    dnnl_primitive_desc_t *operation, dnnl_engine_t engine, knedit_layout_t values, const_dnnl_primitive_desc_t forward) {
  const dnnl_memory_desc_t *layout = (const dnnl_memory_desc_t *)values;
  dnnl_eltwise_desc_t gelu;
  dnnl_status_t status = dnnl_eltwise_backward_desc_init(&gelu, dnnl_eltwise_gelu_erf, layout, layout, 0, 0);
  return status == dnnl_success ? dnnl_primitive_desc_create(operation, &gelu, NULL, engine, forward) : status;
}

static inline dnnl_status_t knedit_describe_softmax(
    dnnl_primitive_desc_t *operation, dnnl_engine_t engine, knedit_layout_t row, int is_logarithm) {
  const dnnl_memory_desc_t *layout = (const dnnl_memory_desc_t *)row;
  dnnl_softmax_v2_desc_t softmax;
  dnnl_status_t status = dnnl_softmax_v2_forward_desc_init(
      &softmax, dnnl_forward_inference, is_logarithm ? dnnl_softmax_log : dnnl_softmax_accurate, layout, layout, 0);
  return status == dnnl_success ? dnnl_primitive_desc_create(operation, &softmax, NULL, engine, NULL) : status;
}

#endif

#endif
