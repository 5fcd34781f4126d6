// Marks functions that host code and CUDA kernels share from one source.
#ifndef QTIPD_KERNELS_API_HOST_DEVICE_H_
#define QTIPD_KERNELS_API_HOST_DEVICE_H_

#ifdef __CUDACC__
#define QTIPD_HOST_DEVICE __host__ __device__
#else
#define QTIPD_HOST_DEVICE
#endif

#endif  // QTIPD_KERNELS_API_HOST_DEVICE_H_
