// What separate.cu uses of other.cu.
#ifndef SEPARATE_OTHER_H
#define SEPARATE_OTHER_H

typedef int (*Table)(int);

extern __device__ int other_value, other_calls;
extern __device__ Table other_table[2];
__device__ int other_function(int value);

void set_other_value(int value);
void add_other_value(int *device, int len);

#endif
