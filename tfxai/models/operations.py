"""TensorFlow's operations by what they have in common: the one vocabulary in which a graph is asked what a node is.

Whoever needs a set that is a little larger or smaller writes it as one of these, plus or minus something.
"""

from __future__ import annotations

# With weights: each moves a kernel over positions, ...
CONVOLUTIONS = frozenset({"Conv2D", "Conv3D", "DepthwiseConv2dNative"})
# ... moves it so that strides enlarge, with the kernel before the data, ...
TRANSPOSED_CONVOLUTIONS = frozenset({"Conv2DBackpropInput", "Conv3DBackpropInputV2"})
# ... or multiplies matrices, ...
MATRIX_PRODUCTS = frozenset({"BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "MatMul"})
# ... in any arrangement of axes.
PRODUCTS = MATRIX_PRODUCTS | {"Einsum"}
# A mean and a spread for each channel: constants in inference mode.
NORMS = frozenset({"FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"})

# Of a window that moves over positions, its mean or its largest value.
AVERAGE_POOLINGS = frozenset({"AvgPool", "AvgPool3D"})
MAX_POOLINGS = frozenset({"MaxPool", "MaxPool3D", "MaxPoolV2", "MaxPoolWithArgmax"})
POOLINGS = AVERAGE_POOLINGS | MAX_POOLINGS
# Of whole axes, one number.
REDUCTIONS = frozenset({"Max", "Mean", "Min", "Prod", "Sum"})
# Of whole axes, a truth value or the number of a position.
DECISIONS = frozenset({"All", "Any", "ArgMax", "ArgMin"})

# What is handed on is the same, tensor by tensor, ...
COPIES = frozenset({"Identity", "IdentityN"})
# ... also where shapes are checked and gradients are kept from passing.
HANDING_ON = COPIES | {"EnsureShape", "PreventGradient", "StopGradient"}
# Values in the same order, in another number of axes.
RESHAPES = frozenset({"ExpandDims", "Reshape", "Squeeze"})
# The first input, unchanged but for its shape or precision.
PASSING = RESHAPES | HANDING_ON - {"IdentityN", "PreventGradient"} | {"Cast", "Transpose"}
# More positions around.
PADDINGS = frozenset({"MirrorPad", "Pad", "PadV2"})
# Squares of positions become batch or channels, and the reverse.
BLOCKS = frozenset({"BatchToSpaceND", "DepthToSpace", "SpaceToBatchND", "SpaceToDepth"})
# Cut out, taken apart and put together.
PARTS = frozenset({"ConcatV2", "GatherV2", "Pack", "Slice", "Split", "SplitV", "StridedSlice", "Unpack"})
# Images in another size.
RESIZES = frozenset({"ResizeBicubic", "ResizeBilinear", "ResizeNearestNeighbor"})
# What does not depend on the values of what they are given.
SIZES = frozenset({"OnesLike", "Rank", "Shape", "ShapeN", "Size", "ZerosLike"})

# Functions of each number by itself: of a ReLU's kind, identities above some number, ...
RELUS = frozenset({"Elu", "LeakyRelu", "Relu", "Relu6", "Selu"})
# ... all that are made to stand behind layers, ...
ACTIVATIONS = RELUS | {"Sigmoid", "Softplus", "Softsign", "Tanh"}
# ... roundings, some of which keep the scale, ...
FAKE_QUANTIZATIONS = frozenset(
    {
        *("FakeQuantWithMinMaxArgs", "FakeQuantWithMinMaxVars", "FakeQuantWithMinMaxVarsPerChannel"),
        *("QuantizeAndDequantize", "QuantizeAndDequantizeV2", "QuantizeAndDequantizeV3", "QuantizeAndDequantizeV4"),
    }
)
ROUNDINGS = FAKE_QUANTIZATIONS | {"Ceil", "Floor", "Rint", "Round"}
# ... and the rest of mathematics.
POWERS = frozenset({"Inv", "Reciprocal", "Rsqrt", "Sqrt", "Square"})
EXPONENTIALS = frozenset({"Exp", "Expm1", "Log", "Log1p"})
TRIGONOMETRY = frozenset({"Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "Cos", "Cosh", "Sin", "Sinh", "Tan"})
SPECIAL_FUNCTIONS = frozenset({"Abs", "Digamma", "Erf", "Erfc", "Lgamma", "Neg", "Sign"})
FUNCTIONS = ACTIVATIONS | ROUNDINGS | POWERS | EXPONENTIALS | TRIGONOMETRY | SPECIAL_FUNCTIONS
# Of two numbers at the same place: sums, ...
ADDITIONS = frozenset({"Add", "AddV2"})
# ... sums and differences with what may be a constant, ...
SHIFTS = ADDITIONS | {"BiasAdd", "Sub"}
# ... products and quotients with what may be one, ...
SCALES = frozenset({"Mul", "RealDiv"})
QUOTIENTS = frozenset({"Div", "DivNoNan", "RealDiv"})
# ... the larger or smaller of them, ...
CLIPS = frozenset({"Maximum", "Minimum"})
# ... one or the other by a truth value, ...
SELECTIONS = frozenset({"Select", "SelectV2"})
# ... and truth values.
COMPARISONS = frozenset({"Equal", "Greater", "GreaterEqual", "Less", "LessEqual", "NotEqual"})
LOGIC = frozenset({"IsFinite", "IsInf", "IsNan", "LogicalAnd", "LogicalNot", "LogicalOr"})
OF_SEVERAL = frozenset(
    {
        *("AddN", "Atan2", "ClipByValue", "FloorDiv", "FloorMod", "Mod", "MulNoNan", "Pow", "SquaredDifference"),
        *("Xdivy", "Xlog1py", "Xlogy"),
    }
)
# All of these: each number of the output goes back to numbers at its own place.
ARITHMETIC = FUNCTIONS | SHIFTS | SCALES | QUOTIENTS | CLIPS | OF_SEVERAL
ELEMENTWISE = ARITHMETIC | SELECTIONS | COMPARISONS | LOGIC | HANDING_ON | {"Cast", "CheckNumerics"}
# Linear in what they take, by way of complex numbers.
FOURIER = frozenset({"Cast", "Complex", "FFT", "FFT2D", "FFT3D", "IFFT", "IFFT2D", "IFFT3D"})
# Shares of a whole: numbers of the last axis, each by all of them.
SOFTMAXES = frozenset({"LogSoftmax", "Softmax"})

# Functions within the graph.
CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
LOOPS = frozenset({"StatelessWhile", "While"})
CONDITIONS = frozenset({"If", "StatelessIf"})
# Where values begin that no input decides.
CONSTANTS = frozenset({"Const", "ReadVariableOp", "VarHandleOp"})
