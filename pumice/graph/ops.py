"""The operators that the counter knows, and what kind of work each one is.

An operator that is not in the table raises; it is never counted as zero.  `KINDS` may be extended by whoever brings an
operator of their own: `KINDS["mylib::blur"] = "elementwise"`.
"""

from pumice.errors import BadInput


class UnknownOp(BadInput):
    """A network called an operator whose cost is not known."""


# Result shares memory with the operand; no work.
_VIEW = """
alias as_strided detach diagonal expand expand_as lift lift_fresh movedim narrow permute real select slice split
split_with_sizes squeeze swapaxes t transpose unbind unfold unsafe_chunk unsafe_split unsafe_split_with_sizes unsqueeze
view view_as view_as_complex view_as_real _reshape_alias _unsafe_view _conj _neg_view chunk imag resolve_conj
resolve_neg
"""
# Elements are copied, chosen or reordered.
_MOVE = """
_to_copy _unsafe_index _unsafe_masked_index cat channel_shuffle clone col2im constant_pad_nd contiguous copy diag_embed
embedding fill flip gather im2col index index_add index_copy index_fill index_put index_select lift_fresh_copy
masked_fill masked_scatter masked_select native_channel_shuffle one_hot pad pixel_shuffle pixel_unshuffle
reflection_pad1d reflection_pad2d reflection_pad3d repeat repeat_interleave replication_pad1d replication_pad2d
replication_pad3d roll rot90 scatter scatter_add scatter_reduce select_copy select_scatter slice_scatter sort stack take
topk tril triu unfold_copy view_copy permute_copy expand_copy zero _index_put_impl _pack_padded_sequence
reshape_copy _reshape_copy unique_dim _unique2 nonzero argsort
"""
_ELEMENTWISE = """
abs acos add addcdiv addcmul asin atan atan2 bitwise_and bitwise_not bitwise_or bitwise_xor bernoulli ceil clamp
clamp_max clamp_min clip copysign cos cosh div dropout eq erf erfc erfinv exp exp2 expm1 floor floor_divide fmax fmin
fmod ge gt heaviside hypot isfinite isinf isnan le lerp log log10 log1p log2 logaddexp logical_and logical_not
logical_or logical_xor logit lt maximum minimum mul nan_to_num native_dropout ne neg polar pow reciprocal remainder
round rsqrt rsub sgn sign sin sinh special_erf sqrt square sub tan trunc where xlogy masked_fill_scalar ger addr
special_expm1 rsub_scalar true_divide multiply subtract negative uniform normal floor_div feature_dropout
fake_quantize_per_tensor_affine fake_quantize_per_tensor_affine_cachemask
"""
_ACTIVATION = """
_log_softmax _prelu_kernel _safe_softmax _softmax celu elu gelu glu hardshrink hardsigmoid hardswish hardtanh
leaky_relu log_sigmoid log_sigmoid_forward log_softmax mish prelu relu relu6 rrelu_with_noise selu sigmoid silu softmax
softplus softshrink softsign tanh threshold
"""
_NORM = """
_batch_norm_impl_index _batch_norm_no_update _batch_norm_with_update _fused_rms_norm _native_batch_norm_legit
_native_batch_norm_legit_no_training _weight_norm_interface batch_norm cudnn_batch_norm group_norm instance_norm
layer_norm miopen_batch_norm native_batch_norm native_group_norm native_layer_norm rms_norm local_response_norm
batch_norm_elemt renorm
"""
_POOL = """
_adaptive_avg_pool2d _adaptive_avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d
adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d avg_pool1d avg_pool2d avg_pool3d fractional_max_pool2d
fractional_max_pool3d max_pool1d max_pool2d max_pool2d_with_indices max_pool3d max_pool3d_with_indices max_unpool2d
max_unpool3d lp_pool2d
"""
_REDUCE = """
all amax amin aminmax any argmax argmin count_nonzero cummax cumprod cumsum _cdist_forward cdist frobenius_norm
linalg_vector_norm logcumsumexp logsumexp max mean median min nansum norm prod std std_mean sum var var_mean kthvalue
mode nanmedian
"""
_RESIZE = """
_upsample_bicubic2d_aa _upsample_bilinear2d_aa _upsample_nearest_exact1d _upsample_nearest_exact2d
_upsample_nearest_exact3d grid_sampler_2d grid_sampler_3d grid_sampler _grid_sampler_2d_cpu_fallback upsample_bicubic2d
upsample_bilinear2d upsample_linear1d upsample_nearest1d upsample_nearest2d upsample_nearest3d upsample_trilinear3d
"""
# Tensors out of nothing; not a layer.
_CREATE = """
arange empty empty_like empty_permuted empty_strided eye fft_fftfreq full full_like hann_window linspace logspace
new_empty new_empty_strided new_full new_ones new_zeros ones ones_like rand rand_like randint randint_like randn
randn_like randperm scalar_tensor tril_indices triu_indices zeros zeros_like meshgrid range bartlett_window
hamming_window
"""
# Questions about a tensor, which leave none behind.
_ASK = """
_assert_async _assert_scalar _assert_tensor_metadata _has_compatible_shallow_copy_type _local_scalar_dense allclose
dim equal is_nonzero is_same_size item numel record_stream size storage_offset stride sym_constrain_range sym_numel
sym_size sym_storage_offset sym_stride
"""
_CONV = "_convolution convolution cudnn_convolution mkldnn_convolution"
# Operands by schema name: the first is (.., m, k), the second (.., k, n).
MATRIX_OPERANDS = {
    "_addmm_activation": ("mat1", "mat2"),
    "addbmm": ("batch1", "batch2"),
    "addmm": ("mat1", "mat2"),
    "addmv": ("mat", "vec"),
    "baddbmm": ("batch1", "batch2"),
    "bmm": ("self", "mat2"),
    "dot": ("self", "tensor"),
    "mm": ("self", "mat2"),
    "mv": ("self", "vec"),
    "vdot": ("self", "other"),
}
_ATTENTION = """
_scaled_dot_product_attention_math _scaled_dot_product_cudnn_attention _scaled_dot_product_efficient_attention
_scaled_dot_product_flash_attention _scaled_dot_product_flash_attention_for_cpu
_scaled_dot_product_fused_attention_overrideable
"""

KINDS: dict[str, str] = {
    f"aten::{name}": kind
    for kind, names in {
        "view": _VIEW,
        "move": _MOVE,
        "elementwise": _ELEMENTWISE,
        "activation": _ACTIVATION,
        "norm": _NORM,
        "pool": _POOL,
        "reduce": _REDUCE,
        "resize": _RESIZE,
        "create": _CREATE,
        "ask": _ASK,
        "conv": _CONV,
        "matmul": " ".join(MATRIX_OPERANDS) + _ATTENTION,
    }.items()
    for name in names.split()
} | {"prim::device": "ask", "prim::layout": "ask", "torchvision::deform_conv2d": "conv"}


def kind_of(schema_name: str) -> str | None:
    """The kind of an operator by the name of its schema ("aten::relu_"), None when it is unknown.

    A trailing underscore means the same work done in place.
    """
    return KINDS.get(schema_name) or (KINDS.get(schema_name[:-1]) if schema_name.endswith("_") else None)
