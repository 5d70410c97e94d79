#ifndef KNEDIT_CHDF5_SHIM_H
#define KNEDIT_CHDF5_SHIM_H

#include <hdf5.h>

/* The library's type identifiers are macros over variables set by H5open, which Swift does not import. */
static inline hid_t knedit_h5t_native_float(void) { return H5T_NATIVE_FLOAT; }
static inline hid_t knedit_h5t_native_double(void) { return H5T_NATIVE_DOUBLE; }
static inline hid_t knedit_h5t_ieee_f32le(void) { return H5T_IEEE_F32LE; }
static inline hid_t knedit_h5t_c_s1(void) { return H5T_C_S1; }
static inline hid_t knedit_h5p_file_access(void) { return H5P_FILE_ACCESS; }

#endif
